import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EvaluationEvent, evaluate } from "../../../coordinator/evaluate/evaluation.js";
import { type RunningAgent, runAgent } from "../../../node-agent/main.js";
import type { BatchResult, EvaluateResponse } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { withTempDir } from "../../support/checkpoints.js";
import { evaluateLocally, recordsIn, writeModel, writeTasks } from "./models.js";
import { startTap } from "./wire-tap.js";

// What goes over the wire between a coordinator and a real agent, and what comes of it when something is in between.

let folder: Awaited<ReturnType<typeof withTempDir>>;
let agent: RunningAgent;
let tasks: string;
let model: string;
let golden: string;

beforeAll(async () => {
  folder = await withTempDir();
  tasks = (await writeTasks(folder.path)).decoder;
  model = await writeModel(folder.path, "decoder", "decoder");
  agent = await runAgent({ roots: [folder.path], slots: 1, evalThreads: 1 });
  const output = join(folder.path, "golden");
  await evaluateLocally(tasks, [model], { output });
  golden = await recordsIn(output);
});
afterAll(async () => {
  await agent.close();
  await folder[Symbol.asyncDispose]();
});

let runs = 0;
async function evaluateBy(addresses: readonly string[], events: EvaluationEvent[] = []) {
  const output = join(folder.path, `out-${++runs}`);
  await evaluate({
    taskFile: tasks,
    models: [{ name: "m0", path: model, role: "model" }],
    agents: { kind: "running", addresses },
    output,
    onEvent: (event) => void events.push(event),
  });
  return recordsIn(output);
}

test("a batch that has been answered is not asked for again when its slice fails", async () => {
  await using tap = await startTap(agent.address, { cutAfter: (request) => (request % 3 === 0 ? 2 : undefined) });
  expect(await evaluateBy([tap.address])).toBe(golden);
  const retries = tap.requests.filter(({ epoch }) => epoch > 1);
  expect(retries.length).toBeGreaterThan(0);
  for (const retry of retries) {
    // A retry may be cut off as well.
    const before = tap.requests.filter(({ unit, epoch }) => unit === retry.unit && epoch < retry.epoch);
    expect(before.map(({ answered }) => answered.length)).toEqual(before.map(() => 2));
    expect(retry.batches).toEqual(before[0]?.batches.slice(2 * before.length));
  }
  const answered = tap.requests.flatMap(({ unit, answered }) => answered.map((batch) => `${unit}/${batch}`));
  expect(new Set(answered).size).toBe(answered.length);
});

test("without failures every batch is asked for once, in several slices", async () => {
  await using tap = await startTap(agent.address);
  const events: EvaluationEvent[] = [];
  await evaluateBy([tap.address], events);
  const started = events.find((event) => event.type === "started");
  const asked = tap.requests.reduce((total, { batches }) => total + batches.length, 0);
  expect(asked).toBe(started?.type === "started" ? started.batches : 0);
  expect(tap.requests.length).toBeGreaterThan(3);
  expect(tap.requests.every(({ epoch }) => epoch === 1)).toBe(true);
});

function changed(response: EvaluateResponse, change: (result: BatchResult) => void): EvaluateResponse {
  if (response.event.case === "result") change(response.event.value);
  return response;
}

const lies: readonly (readonly [string, (result: BatchResult) => void, string])[] = [
  [
    "a batch that nobody asked for",
    (result) => {
      result.batch += 1000;
    },
    "was not asked for",
  ],
  [
    "too few log-probabilities",
    (result) => {
      result.logprobs.pop();
    },
    "log-probabilities of",
  ],
  [
    "too many continuations",
    (result) => {
      result.generated.push(...result.generated);
    },
    "continuations",
  ],
];

test.each(lies)("an agent that answers %s is found out, and another does its work", async (_, lie, says) => {
  await using liar = await startTap(agent.address, { change: (response) => changed(response, lie) });
  const events: EvaluationEvent[] = [];
  expect(await evaluateBy([liar.address, agent.address], events)).toBe(golden);
  const failures = events.flatMap((event) =>
    event.type === "dispatch" && event.event.type === "failed" ? [event.event.error] : [],
  );
  expect(failures.length).toBeGreaterThan(0);
  for (const { code, message } of failures) {
    expect(code).toBe("chunk_corrupt");
    expect(message).toContain(says);
    expect(message).toContain(liar.address);
  }
});
