import { expect, test } from "vitest";
import { Adam } from "../../../../../../coordinator/sweep/search/learning/adam.js";

test("Adam goes where torch.optim.Adam goes", () => {
  // torch 2.15, float64: Adam([x], lr=0.1) on x_0² + 10 (x_1 − 1)², from (1, 0.3).
  const torch = [
    [0.9000000005, 0.3999999999285714],
    [0.8004122286917927, 0.4993055815699431],
    [0.7015862729460302, 0.5972565200846998],
    [0.6039390605737459, 0.6929983475337892],
    [0.5079636592643418, 0.785448361156374],
  ];
  const adam = new Adam(2, 0.1);
  let x = Float64Array.of(1, 0.3);
  for (const expected of torch) {
    const step = adam.step(Float64Array.of(2 * (x[0] ?? 0), 20 * ((x[1] ?? 0) - 1)));
    x = x.map((value, i) => value + (step[i] ?? 0));
    expect(x[0]).toBeCloseTo(expected[0] ?? 0, 12);
    expect(x[1]).toBeCloseTo(expected[1] ?? 0, 12);
  }
});
