import { expect, test } from "vitest";
import { Run } from "../../../../../coordinator/evaluate/kinds/run.js";
import { textInputs } from "../../../../../coordinator/evaluate/kinds/text-inputs.js";
import type { BatchOutput } from "../../../../../coordinator/evaluate/types.js";

/** One long text among short ones; the first token of each is its number. */
const lengths = [5, 7, 200, 5, 6];
const texts = lengths.map((length, i) => ({
  ids: Array.from({ length }, () => i),
  types: new Array<number>(length).fill(0),
}));

function runOf({ batchExamples = 32, batchTokens = 8192 } = {}): Run {
  const inputs = textInputs({ batchExamples, batchTokens }, texts, {
    pad: 9,
    inputs: new Set(["input_ids", "attention_mask"]),
  });
  return new Run({ measure: { kind: "vectors", graph: "body" }, inputs });
}

test("a long text runs by itself, and answers come back in the order of the examples", async () => {
  const run = runOf();
  expect(run.plans.map(({ examples, cost }) => [examples, cost])).toEqual([
    [1, 200],
    [4, 28],
  ]);
  const outputs = await Promise.all(
    run.plans.map(async ({ examples }, batch): Promise<BatchOutput> => {
      const { data } = (await run.load(batch)).inputs.get("input_ids") ?? { data: new Uint8Array() };
      const ids = new Int32Array(new Uint8Array(data).buffer);
      const firsts = Float32Array.from({ length: examples }, (_, row) => ids[(row * ids.length) / examples] ?? -1);
      return { kind: "vectors", values: firsts, width: 1 };
    }),
  );
  expect(run.vectors(outputs).map(([first]) => first)).toEqual([0, 1, 2, 3, 4]);
});

test("answers of another cut are not taken for these: which run together is in the digest", () => {
  expect(runOf().digest("x")).toBe(runOf({ batchExamples: 16 }).digest("x"));
  expect(runOf().digest("x")).not.toBe(runOf({ batchExamples: 2 }).digest("x"));
});
