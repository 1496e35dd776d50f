import { expect, test } from "vitest";
import { classEmbeddings, zeroShotLogits } from "../../../../../coordinator/evaluate/kinds/zero-shot.js";

test("a class is where the mean of its normalized prompts points", () => {
  // Prompts of the first class: 3·(1, 0) and 5·(0, 1), so that without normalization it would point elsewhere.
  const prompts = [
    [3, 0],
    [0, 5],
    [-1, 0],
    [-2, 0],
  ].map((vector) => Float32Array.from(vector));
  const classes = classEmbeddings(prompts, 2);
  expect(classes.map((vector) => [...vector])).toEqual([
    [expect.closeTo(Math.SQRT1_2, 12), expect.closeTo(Math.SQRT1_2, 12)],
    [-1, 0],
  ]);
  const logits = zeroShotLogits(Float32Array.of(0, 7), classes);
  expect(logits[0]).toBeCloseTo(100 * Math.SQRT1_2, 9);
  expect(logits[1]).toBeCloseTo(0, 9);
});
