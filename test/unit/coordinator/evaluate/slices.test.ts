import { expect, test } from "vitest";
import { cutSlices, type Slice } from "../../../../coordinator/evaluate/slices.js";
import type { BatchPlan, Measure } from "../../../../coordinator/evaluate/types.js";

const vectors: Measure = { kind: "vectors", graph: "body" };
const likelihood: Measure = { kind: "likelihood" };

function plans(count: number, plan: Partial<BatchPlan> = {}): readonly BatchPlan[] {
  return Array.from({ length: count }, () => ({ measure: vectors, examples: 1, cost: 1, bytes: 10, ...plan }));
}

const model = (...tasks: readonly (readonly BatchPlan[])[]) => ({
  parameters: 1000,
  tasks: tasks.map((batches) => ({ batches })),
});

function batchesOf(slices: readonly Slice[]): readonly string[] {
  return slices.flatMap(({ model, task, batches }) => batches.map((batch) => `${model}/${task}/${batch}`));
}

test.each([1, 2, 5])("cutSlices() puts every batch into one slice, in order, for %i agents", (agents) => {
  const slices = cutSlices([model(plans(40), plans(3)), model(plans(7))], { agents });
  const wanted = [40, 3].flatMap((count, task) => Array.from({ length: count }, (_, i) => `0/${task}/${i}`));
  expect(batchesOf(slices)).toEqual([...wanted, ...Array.from({ length: 7 }, (_, i) => `1/0/${i}`)]);
  expect(slices.map(({ id }) => id)).toEqual(slices.map((_, i) => i));
});

test("cutSlices() makes four slices per agent of a task, of about the same cost", () => {
  expect(cutSlices([model(plans(40))], { agents: 2 }).map(({ batches }) => batches.length)).toEqual(Array(8).fill(5));
  const uneven = [...plans(1, { cost: 12 }), ...plans(12)];
  expect(cutSlices([model(uneven)], { agents: 1 }).map(({ batches }) => batches.length)).toEqual([1, 6, 6]);
});

test("cutSlices() keeps different measures, and what is done, out of a slice", () => {
  const measures = [...plans(3), ...plans(3, { measure: likelihood })];
  const slices = cutSlices([model(measures)], { agents: 1, isDone: (_, __, batch) => batch === 1 });
  expect(batchesOf(slices)).toEqual(["0/0/0", "0/0/2", "0/0/3", "0/0/4", "0/0/5"]);
  for (const { measure, batches } of slices) {
    for (const batch of batches) expect(measure).toBe(measures[batch]?.measure);
  }
  expect(cutSlices([model(measures)], { agents: 3, isDone: () => true })).toEqual([]);
});

test("cutSlices() ends a slice before its inputs exceed 8 MiB, whatever one batch has", () => {
  const mebibyte = 1 << 20;
  const large = plans(12, { bytes: 3 * mebibyte });
  expect(cutSlices([model(large)], { agents: 1 }).map(({ batches }) => batches.length)).toEqual(Array(6).fill(2));
  const huge = plans(2, { bytes: 9 * mebibyte });
  expect(cutSlices([model(huge)], { agents: 1 }).map(({ batches }) => batches.length)).toEqual([1, 1]);
});

test("cutSlices() puts at most 256 batches into a slice", () => {
  const slices = cutSlices([model(plans(4_000))], { agents: 1 });
  expect(Math.max(...slices.map(({ batches }) => batches.length))).toBe(256);
});

test("cutSlices() gives a slice of a larger model or more work more time", () => {
  const [small] = cutSlices([model(plans(4))], { agents: 1 });
  const [large] = cutSlices([{ ...model(plans(4)), parameters: 1e9 }], { agents: 1 });
  const [long] = cutSlices([model(plans(4, { cost: 1000 }))], { agents: 1 });
  expect(large?.bytesRead).toBeGreaterThan(small?.bytesRead ?? Number.POSITIVE_INFINITY);
  expect(long?.bytesRead).toBeGreaterThan(small?.bytesRead ?? Number.POSITIVE_INFINITY);
});
