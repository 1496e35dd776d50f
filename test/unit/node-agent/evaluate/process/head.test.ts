import { expect, test } from "vitest";
import { headRows, headRuns } from "../../../../../node-agent/evaluate/process/measures/head.js";

test.each([
  ["49,152 tokens, 341 rows at once", 49_152, 2040, 6],
  ["one row", 49_152, 1, 1],
  ["as many as fit", 49_152, 341, 1],
  ["one more", 49_152, 342, 2],
  ["a vocabulary that does not fit at all", 2 ** 25, 3, 3],
  ["no rows", 49_152, 0, 0],
])("a head is run for as many rows as 64 MiB of logits hold: %s", (_, vocabulary, rows, runs) => {
  expect(headRuns(rows, vocabulary)).toBe(runs);
  expect(headRows(vocabulary) * 4 * vocabulary).toBeLessThanOrEqual(Math.max(64 << 20, 4 * vocabulary));
});
