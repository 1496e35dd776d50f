import { expect, test } from "vitest";
import { alikeWarnings, findNonFinite, gateRows } from "../../../../../coordinator/moe/hidden/gate-rows.js";

const at = { line: 1, column: 1 };
const states = [
  [3, 4, 1, 0],
  [0, 0, 1, 0],
  [0, 8, 0, 2],
].map((values) => Float32Array.from(values));
/** Two layers of two numbers. */
const found = { layers: 2, hidden: 2, states };

test("a gate is the mean of the positive prompts' states less that of the negative ones', at length 1", () => {
  const experts = [
    { at, positive: [0], negative: [] },
    { at, positive: [0, 1, 1, 2], negative: [1, 2] },
  ];
  const second = [(3 + 0 + 0 + 0) / 4 - 0, (4 + 0 + 0 + 8) / 4 - 4, 3 / 4 - 1 / 2, 2 / 4 - 2 / 2];
  const unit = (x: readonly number[]): readonly number[] => x.map((value) => Math.fround(value / Math.hypot(...x)));
  expect([...gateRows(experts, found)]).toEqual(
    [...unit([3, 4]), ...unit(second.slice(0, 2)), ...[1, 0], ...unit(second.slice(2))].map(Math.fround),
  );
});

test("prompts that take each other away make a gate of zeros, not of numbers that are none", () => {
  expect([...gateRows([{ at, positive: [0], negative: [0] }], found)]).toEqual([0, 0, 0, 0]);
});

test("a state that is not finite is found with its prompt and its layer", () => {
  expect(findNonFinite(found)).toBeUndefined();
  for (const value of [Number.NaN, Number.NEGATIVE_INFINITY]) {
    const broken = [...states, Float32Array.of(1, 2, 3, value)];
    expect(findNonFinite({ ...found, states: broken })).toEqual({ sequence: 3, layer: 1 });
  }
});

test("routers whose rows are nearly the same are warned of by their layers", () => {
  const apart = [1, 0, 0, 1];
  const near = [1, 0, 0.99, 0.1];
  expect(alikeWarnings(Float32Array.from([...apart, ...apart]), 2, 2)).toEqual([]);
  expect(alikeWarnings(Float32Array.from([...near, ...apart, 1, 0, 1, 0]), 2, 2)).toEqual([
    expect.stringMatching(/^Prompts are too alike in layers 0, 2: /),
  ]);
  expect(alikeWarnings(Float32Array.from(near), 2, 2)).toEqual([expect.stringContaining("in all layers: ")]);
  expect(alikeWarnings(Float32Array.from([1, 0, 1, 0]), 1, 2)).toEqual([]);
});
