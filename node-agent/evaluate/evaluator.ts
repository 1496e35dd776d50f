import { Worker } from "node:worker_threads";
import { AmalgamError } from "../../shared/errors.js";
import type { Score } from "./score.js";
import type { ScoreAnswer, ScoreMessage, ScoreTask } from "./worker-protocol.js";

/** Scores checkpoints on a thread of its own, so that the caller stays responsive. */
export interface Evaluator extends AsyncDisposable {
  /** The checkpoint's scores, in the order of the task's sets. Tasks queue. */
  score(task: ScoreTask): Promise<readonly Score[]>;
}

interface Waiting {
  readonly resolve: (scores: readonly Score[]) => void;
  readonly reject: (error: AmalgamError) => void;
}

/** Starts the thread. It ends when the evaluator is disposed of, and what still waits then fails as `canceled`. */
export function startEvaluator(): Evaluator {
  const worker = new Worker(new URL("./worker.js", import.meta.url), { argv: [], execArgv: [] });
  const waiting = new Map<number, Waiting>();
  let tasks = 0;
  let ended: AmalgamError | undefined;

  const end = (error: AmalgamError): void => {
    ended ??= error;
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
  };
  worker.on("error", (error) => end(AmalgamError.from(error)));
  worker.on("exit", (code) => end(new AmalgamError("internal", `The evaluation thread ended with code ${code}`)));
  worker.on("message", (answer: ScoreAnswer) => {
    const task = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (answer.type === "scored") task?.resolve(answer.scores);
    else task?.reject(new AmalgamError(answer.code, answer.message, { details: answer.details }));
  });

  return {
    score(task) {
      return new Promise((resolve, reject) => {
        if (ended !== undefined) return reject(ended);
        const id = tasks++;
        waiting.set(id, { resolve, reject });
        worker.postMessage({ id, task } satisfies ScoreMessage);
      });
    },
    async [Symbol.asyncDispose]() {
      end(new AmalgamError("canceled", "The evaluator was closed"));
      await worker.terminate();
    },
  };
}
