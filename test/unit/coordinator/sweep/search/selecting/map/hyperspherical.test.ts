import { expect, test } from "vitest";
import { Random } from "../../../../../../../coordinator/sweep/search/random.js";
import { binProbabilities } from "../../../../../../../coordinator/sweep/search/selecting/map/bin-scores.js";
import {
  anglesOf,
  binOf,
  directionOf,
  placeIn,
} from "../../../../../../../coordinator/sweep/search/selecting/map/hyperspherical.js";

test("angles and directions are each other's inverse", () => {
  expect(anglesOf([0, 0, 2])).toEqual([Math.PI / 2, Math.PI / 2]);
  const direction = [0.1, 0.5, 0.7, 0.2].map((value) => value / Math.hypot(0.1, 0.5, 0.7, 0.2));
  directionOf(anglesOf(direction)).forEach((value, i) => {
    expect(value).toBeCloseTo(direction[i] ?? 0, 12);
  });
});

test("places lie in the bin that they are drawn for, at a share of the way to the cube's side", () => {
  const random = new Random(3, "places");
  for (let i = 0; i < 50; i += 1) {
    const place = placeIn([1, 3], 4, 0.5, random);
    expect(binOf(place, 4)).toEqual([1, 3]);
    expect(Math.max(...place)).toBeCloseTo(0.5, 12);
  }
});

test("bins with large errors and bins without points are likely", () => {
  const [small, large, empty] = binProbabilities([[0.01, 0.02, 0.01], [0.3, 0.3, 0.3], []], new Random(1, "bins"));
  expect(large).toBeCloseTo(empty ?? 0, 12);
  // exp((0.3 − 0.0133 − half the spread) / 0.07) is about 60.
  expect((large ?? 0) / (small ?? 1)).toBeGreaterThan(50);
});
