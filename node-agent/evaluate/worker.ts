import { readFile } from "node:fs/promises";
import { parentPort } from "node:worker_threads";
import { openCheckpoint } from "../../shared/checkpoint/open.js";
import { AmalgamError } from "../../shared/errors.js";
import { readEvalSet } from "./eval-set.js";
import { type Score, score } from "./score.js";
import { openSession } from "./session.js";
import type { ScoreAnswer, ScoreMessage, ScoreTask } from "./worker-protocol.js";

// A thread that evaluates. ONNX Runtime blocks the thread that it is called on, and here nobody minds.

const port = parentPort;
if (port === null) throw new Error("worker.js runs as a worker thread");

/** Tasks run one after the other: each has the cores, and the memory, to itself. */
let last: Promise<void> = Promise.resolve();

port.on("message", ({ id, task }: ScoreMessage) => {
  last = last.then(async () => port.postMessage(await answer(id, task)));
});

async function answer(id: number, task: ScoreTask): Promise<ScoreAnswer> {
  try {
    return { type: "scored", id, scores: await run(task) };
  } catch (error) {
    const { code, message, details } = AmalgamError.from(error);
    return { type: "failed", id, code, message, details };
  }
}

async function run({ graph, checkpoint, evalSets }: ScoreTask): Promise<readonly Score[]> {
  await using session = await openSession(await readFile(graph), await openCheckpoint(checkpoint));
  const scores: Score[] = [];
  for (const path of evalSets) scores.push(await score(session, await readEvalSet(path, session.inputs)));
  return scores;
}
