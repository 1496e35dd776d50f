import { expect, test } from "vitest";
import type { Batch } from "../../../../node-agent/evaluate/batch.js";
import type { EvalSet } from "../../../../node-agent/evaluate/eval-set.js";
import { score } from "../../../../node-agent/evaluate/score.js";
import type { EvaluationSession } from "../../../../node-agent/evaluate/session.js";

/** A session that gives its input back as logits. */
function echo(shapeOf = ({ shape }: Batch): readonly number[] => shape): EvaluationSession {
  return {
    inputs: ["logits"],
    async run(inputs) {
      const batch = inputs.get("logits");
      if (batch === undefined || !(batch.values instanceof Float32Array)) throw new Error("No logits");
      return { values: batch.values, shape: shapeOf(batch) };
    },
    async [Symbol.asyncDispose]() {},
  };
}

function evalSet(logits: readonly (readonly number[])[], labels: readonly number[]): EvalSet {
  const values = Float32Array.from(logits.flat());
  const batch = { values, shape: [logits.length, logits[0]?.length ?? 0] };
  return { count: labels.length, inputs: new Map([["logits", batch]]), labels: BigInt64Array.from(labels, BigInt) };
}

test("score() counts the examples whose largest logit is that of their label", async () => {
  const logits = [
    [3, 1, 2],
    [-3, -1, -2],
    [0, 0, 5],
    [0, 0, 5],
  ];
  expect(await score(echo(), evalSet(logits, [0, 1, 2, 1]))).toEqual({ correct: 3, total: 4, accuracy: 0.75 });
});

test("score() sees every example of a set that takes several batches", async () => {
  const labels = Array.from({ length: 1001 }, (_, i) => i % 3);
  const logits = labels.map((label) => [0, 1, 2].map((other) => (other === label ? 1 : 0)));
  expect(await score(echo(), evalSet(logits, labels))).toMatchObject({ correct: 1001, total: 1001 });
});

test("score() takes NaN for no answer, and not for class 0", async () => {
  const { NaN: nan, NEGATIVE_INFINITY: least } = Number;
  const logits = [
    [nan, nan],
    [nan, 1],
    [least, nan],
  ];
  expect(await score(echo(), evalSet(logits, [0, 1, 0]))).toMatchObject({ correct: 2 });
});

test("score() of no examples is 0", async () => {
  expect(await score(echo(), evalSet([], []))).toEqual({ correct: 0, total: 0, accuracy: 0 });
});

test("score() refuses an output that is not one row of logits per example", async () => {
  const perToken = echo(({ shape }) => [...shape, 1]);
  await expect(score(perToken, evalSet([[1, 2]], [1]))).rejects.toThrow(
    "Cannot score the graph as a classifier: its output has shape [1, 2, 1], not [1, classes]",
  );
});
