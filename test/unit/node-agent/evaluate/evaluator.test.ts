import { expect, test } from "vitest";
import { startEvaluator } from "../../../../node-agent/evaluate/evaluator.js";
import type { ScoreTask } from "../../../../node-agent/evaluate/worker-protocol.js";
import { repositoryPath } from "../../../support/repository.js";

function task(checkpoint: string): ScoreTask {
  const example = (...parts: readonly string[]): string => repositoryPath("examples", "digits", ...parts);
  return {
    graph: example("model.onnx"),
    checkpoint: example(checkpoint),
    evalSets: ["noisy", "rotated"].map((name) => example("eval", `${name}.safetensors`)),
  };
}

test("an evaluator scores a checkpoint on each set, and gives the same numbers again", async () => {
  await using evaluator = startEvaluator();
  const [first, second] = await Promise.all([evaluator.score(task("base")), evaluator.score(task("base"))]);
  expect(first).toEqual([expect.objectContaining({ total: 540 }), expect.objectContaining({ total: 540 })]);
  expect(second).toEqual(first);
});

test("an evaluator that fails at one task says why and does the next", async () => {
  await using evaluator = startEvaluator();
  const [failed, done] = await Promise.allSettled([evaluator.score(task("nowhere")), evaluator.score(task("base"))]);
  expect(failed).toMatchObject({ status: "rejected", reason: { name: "AmalgamError", code: "checkpoint_malformed" } });
  expect(done).toMatchObject({ status: "fulfilled" });
});

test("closing an evaluator cancels what waits and what comes after", async () => {
  const evaluator = startEvaluator();
  const waiting = expect(evaluator.score(task("base"))).rejects.toMatchObject({ code: "canceled" });
  await evaluator[Symbol.asyncDispose]();
  await waiting;
  await expect(evaluator.score(task("base"))).rejects.toMatchObject({ code: "canceled" });
});
