import { describe, expect, test } from "vitest";
import { planBatches } from "../../../../../coordinator/evaluate/text/batches.js";
import { padBatch } from "../../../../../coordinator/evaluate/text/pad.js";
import { seeded } from "../../../../support/random.js";

describe("planBatches", () => {
  test.each([1, 2, 3, 4, 5])("keeps every example once and within both limits (seed %i)", (seed) => {
    const random = seeded(seed);
    const lengths = Array.from({ length: 200 }, () => Math.floor(random() ** 3 * 90) + 1);
    const batches = planBatches(lengths, { examples: 16, tokens: 256 });
    expect(batches.flat().toSorted((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
    for (const batch of batches) {
      const longest = Math.max(...batch.map((example) => lengths[example] ?? 0));
      expect(batch.length).toBeLessThanOrEqual(16);
      expect(longest * batch.length).toBeLessThanOrEqual(256);
    }
    const order = batches.flat().map((example) => lengths[example] ?? 0);
    expect(order).toEqual(order.toSorted((a, b) => b - a));
  });

  test("leaves equally long examples in their order", () => {
    expect(planBatches([2, 3, 2, 3, 2], { examples: 2, tokens: 100 })).toEqual([[1, 3], [0, 2], [4]]);
  });

  test("gives an example that is too long a batch of its own", () => {
    expect(planBatches([9, 4, 4], { examples: 8, tokens: 8 })).toEqual([[0], [1, 2]]);
  });

  test.each([
    ["one long text and seven short ones", [12, 12, 200, 12, 12, 12, 12, 12], 1, [[2], [0, 1, 3, 4, 5, 6, 7]]],
    ["texts that are nearly alike", [30, 31, 32, 33], 1, [[3, 2, 1, 0]]],
    ["as much padding as another run takes", [40, 24, 24], 1, [[0, 1, 2]]],
    ["more of it", [41, 24, 24], 1, [[0], [1, 2]]],
    ["a long prompt, when every new token is another run", [200, 12, 12, 12], 65, [[0, 1, 2, 3]]],
    ["no text at all", [], 1, []],
  ] as const)("pads as long as it takes less than another run: %s", (_, lengths, runs, expected) => {
    expect(planBatches(lengths, { examples: 32, tokens: 8192, runs })).toEqual(expected);
  });

  test.each([1, 2, 3, 4, 5, 6])("no other cut takes fewer tokens (seed %i)", (seed) => {
    const random = seeded(seed);
    const lengths = Array.from({ length: 10 }, () => Math.floor(random() ** 2 * 150) + 1);
    const costOf = (batches: readonly (readonly number[])[]): number =>
      batches.reduce((sum, [first = 0, ...rest]) => sum + 32 + (lengths[first] ?? 0) * (rest.length + 1), 0);
    const order = lengths.map((_, i) => i).toSorted((a, b) => (lengths[b] ?? 0) - (lengths[a] ?? 0) || a - b);
    // Bit i of a number: whether there is a cut behind the example at i.
    const all = Array.from({ length: 2 ** (order.length - 1) }, (_, cuts) => {
      const ends = [...order.keys()].filter((i) => i === order.length - 1 || ((cuts >> i) & 1) === 1);
      return ends.map((end, i) => order.slice((ends[i - 1] ?? -1) + 1, end + 1));
    });
    const found = planBatches(lengths, { examples: 32, tokens: 8192 });
    expect(found.flat()).toEqual(order);
    expect(costOf(found)).toBe(Math.min(...all.map(costOf)));
  });

  test("tens of thousands of lengths are cut in no time where nothing limits a batch", () => {
    const lengths = Array.from({ length: 50_000 }, (_, i) => 50_000 - i);
    const found = planBatches(lengths, { examples: Infinity, tokens: Infinity });
    expect(found.flat()).toEqual([...lengths.keys()]);
    // Two batches are better than one whose padding is more than a run.
    const padding = ([first = 0, ...others]: readonly number[]) => others.reduce((sum, i) => sum + i - first, 0);
    expect(Math.max(...found.map(padding))).toBeLessThanOrEqual(64);
  });
});

describe("padBatch", () => {
  const sequences = [
    { ids: [5, 6, 7], types: [0, 0, 1] },
    { ids: [8], types: [1] },
  ];
  const inputs = new Set(["input_ids", "attention_mask", "token_type_ids"]);

  test.each([
    ["right", [5, 6, 7, 8, 9, 9], [1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 0, 0]],
    ["left", [5, 6, 7, 9, 9, 8], [1, 1, 1, 0, 0, 1], [0, 0, 1, 0, 0, 1]],
  ] as const)("puts padding on the %s, which the mask hides", (side, ids, mask, types) => {
    const batch = padBatch(sequences, { side, pad: 9, inputs });
    const numbers = [...batch].map(([name, { data, shape, dtype }]) => {
      return [name, dtype, shape, [...new Int32Array(data.buffer)]];
    });
    expect(numbers).toEqual([
      ["input_ids", "I32", [2, 3], ids],
      ["attention_mask", "I32", [2, 3], mask],
      ["token_type_ids", "I32", [2, 3], types],
    ]);
  });

  test("gives a graph only the inputs that it has", () => {
    const some = new Set(["input_ids", "decoder_input_ids"]);
    const names = ["", "decoder_"].map((prefix) => [
      ...padBatch(sequences, { side: "right", pad: 0, inputs: some, prefix }).keys(),
    ]);
    expect(names).toEqual([["input_ids"], ["decoder_input_ids"]]);
  });
});
