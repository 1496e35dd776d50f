import { expect, test } from "vitest";
import { estimate } from "../../../../coordinator/plan/estimate.js";
import type { Plan } from "../../../../coordinator/plan/types.js";
import { cutUnits } from "../../../../coordinator/plan/units.js";
import { type FakeTensors, planOf, recipeFor } from "../../../support/planning.js";

const linear = recipeFor("linear", ["a", "b"], { each: "weight: 1" });
const ties = recipeFor("ties", ["a", "b"], { each: "weight: 1, density: 0.5", base: "base" });
const della = recipeFor("della", ["a", "b"], { each: "weight: 1, density: 0.5, epsilon: 0.1", base: "base" });

function planFor(recipe: string, tensors: FakeTensors): Plan {
  return planOf(recipe, { base: tensors, a: tensors, b: tensors });
}

function estimateFor(recipe: string, tensors: FakeTensors, slots = 1, unitBytes = 4_000_000) {
  const plan = planFor(recipe, tensors);
  return estimate(plan, cutUnits(plan, { unitBytes }), slots);
}

test("estimate() counts bytes and parameters", () => {
  const cost = estimateFor(linear, { x: ["BF16", [1000, 1000]], y: ["BF16", [500]], ids: ["I64", [10]] });
  expect(cost.parameters).toBe(1_000_510);
  // Of what is copied, one model is read.
  expect(cost.bytesIn).toBe(2 * 2 * 1_000_500 + 80);
  expect(cost.bytesRead).toBe(cost.bytesIn);
  expect(cost.bytesOut).toBeGreaterThan(2 * 1_000_500 + 80);
  expect(cost.bytesOut).toBeLessThan(2 * 1_000_500 + 80 + 1_000);
  expect(cost.diskNeeded).toBeGreaterThan(cost.bytesOut);
});

test("estimate() counts every statistics pass as a reading", () => {
  const { bytesIn, bytesRead } = estimateFor(ties, { x: ["BF16", [1000, 1000]] });
  expect(bytesRead).toBe(3 * bytesIn);
});

test.each([
  ["linear", linear],
  ["ties", ties],
])("estimate() of %s needs the same memory for a small model and one of a terabyte", (_, recipe) => {
  const layers = (count: number, rows: number): FakeTensors =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`layers.${i}.w`, ["BF16", [rows, 8192]] as const]));
  const small = estimateFor(recipe, layers(2, 64));
  const large = estimateFor(recipe, layers(1_000, 60_000), 1, 512_000_000);
  expect(large.bytesOut).toBeGreaterThan(980e9);
  expect(large.memoryPerAgent).toBe(small.memoryPerAgent);
  expect(large.memoryPerAgent).toBeLessThan(16e6);
});

test.each([
  ["another dtype", { z: ["F32", [4, 4]] }],
  ["longer rows", { z: ["BF16", [4, 600_000]] }],
] satisfies [string, FakeTensors][])("estimate() finds one tensor of %s among many that are alike", (_, other) => {
  const usual: FakeTensors = Object.fromEntries(["x", "y"].map((name) => [name, ["BF16", [4, 4]] as const]));
  const memoryFor = (tensors: FakeTensors): number => estimateFor(della, tensors).memoryPerAgent;
  expect(memoryFor({ ...usual, ...other })).toBe(Math.max(memoryFor(usual), memoryFor(other)));
  expect(memoryFor({ ...usual, ...other })).toBeGreaterThan(memoryFor(usual));
});

test("estimate() counts what is put together as it is read, after tensors that are read as they are", () => {
  const plan = planFor(linear, { x: ["BF16", [64, 64]], y: ["BF16", [64, 64]] });
  const [x, y] = plan.tensors;
  if (x === undefined || y === undefined) throw new Error("Two tensors were planned");
  const factor = { source: 0, offset: 0, dtype: "BF16", bytes: 0 } as const;
  const update = { a: factor, b: factor, rank: 16, scale: 1, transposed: false };
  const updated = { ...y, inputs: y.inputs.map((input) => ({ ...input, updates: [update] })) };
  const memoryOf = (...tensors: Plan["tensors"]): number => estimate({ ...plan, tensors }, [], 1).memoryPerAgent;
  expect(memoryOf(x, updated)).toBe(memoryOf(updated));
  expect(memoryOf(updated, x)).toBe(memoryOf(updated));
  expect(memoryOf(updated)).toBeGreaterThan(memoryOf(x));
});

test("estimate() needs memory for every slot", () => {
  const tensors: FakeTensors = { x: ["F32", [100]] };
  expect(estimateFor(linear, tensors, 8).memoryPerAgent).toBe(8 * estimateFor(linear, tensors, 1).memoryPerAgent);
});

test("estimate() takes more units than a function takes arguments", () => {
  const plan = planFor(linear, { x: ["BF16", [10]] });
  const unit = { id: 0, pieces: [], bytesRead: 2, bytesWritten: 1 };
  const cost = estimate(plan, [...Array(500_000).fill(unit), { ...unit, bytesWritten: 7 }], 1);
  expect(cost).toMatchObject({ units: 500_001, largestUnit: 7, bytesRead: 1_000_002 });
});
