import { expect, test } from "vitest";
import { argmax, logProbability } from "../../../../../node-agent/evaluate/process/measures/log-softmax.js";

test.each([
  [[0, 0, 0, 0], 2, Math.log(1 / 4)],
  [[1, 2, 3], 0, 1 - Math.log(Math.exp(1) + Math.exp(2) + Math.exp(3))],
  [[1000, 999], 1, -1 - Math.log(1 + Math.exp(-1))],
  [[5], 0, 0],
])("log softmax of %j at %i is %f", (logits, target, wanted) => {
  expect(logProbability(Float32Array.from(logits), target)).toBeCloseTo(wanted, 12);
});

test("a logit that is no number makes every log-probability none", () => {
  expect(logProbability(Float32Array.of(Number.NaN, 1), 1)).toBeNaN();
});

test.each([
  [[1, 3, 3, 2], 1],
  [[Number.NaN, -5, -4], 2],
  [[Number.NEGATIVE_INFINITY, Number.NaN], 0],
  [[Number.NaN], 0],
])("the largest of %j is number %i", (logits, wanted) => {
  expect(argmax(Float32Array.from(logits))).toBe(wanted);
});
