import { expect, test } from "vitest";
import {
  distanceFrom,
  linearIn,
  normOfGroups,
} from "../../../../../../coordinator/sweep/search/learning/regulariser.js";
import type { Space } from "../../../../../../coordinator/sweep/space.js";

const space: Space = ["a", "b"].flatMap((model) =>
  ["early", "late"].map((group) => {
    return { kind: "range", name: `${model} ${group}`, model, group, low: -1, high: 1, scale: "linear" } as const;
  }),
);
const start = Float64Array.of(0.1, 0.1, 0.1, 0.1);
const x = Float64Array.of(0.4, -0.5, 0.3, 0.1001);

test("they cost what their papers say", () => {
  expect(distanceFrom(start, 5).value(x)).toBeCloseTo((5 * (0.3 + 0.6 + 0.2 + 0.0001)) / 4, 3);
  expect(normOfGroups(space, 1, 0.5).value(x)).toBeCloseTo((0.5 * (0.7 + 0.6001)) / 2, 3);
  // Early layers have (0.4, 0.3) for the two models, late ones (−0.5, 0.1001).
  expect(normOfGroups(space, 2, 0.5).value(x)).toBeCloseTo((0.5 * (0.5 + Math.hypot(0.5, 0.1001))) / 2, 3);
  expect(linearIn(2, 0.1).value(x)).toBeCloseTo(0.03, 12);
});

test.each([
  ["distance", distanceFrom(start, 5)],
  ["1-norm", normOfGroups(space, 1, 0.5)],
  ["2-norm", normOfGroups(space, 2, 0.5)],
  ["linear", linearIn(2, 0.1)],
])(
  "the gradient of the %s is its slope, also in the corner, and it costs nothing where it begins",
  (name, regulariser) => {
    for (const at of [x, Float64Array.of(0.1, 0.10002, 0.2, 0.1)]) {
      for (const [i, slope] of regulariser.gradient(at).entries()) {
        const h = 1e-7;
        const moved = (by: number): number => regulariser.value(at.map((value, k) => (k === i ? value + by : value)));
        expect((moved(h) - moved(-h)) / (2 * h)).toBeCloseTo(slope, 4);
        expect(Number.isFinite(slope)).toBe(true);
      }
    }
    if (name !== "linear")
      expect(regulariser.value(name === "distance" ? start : new Float64Array(4))).toBeCloseTo(0, 12);
  },
);
