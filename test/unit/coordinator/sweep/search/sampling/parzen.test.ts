import { expect, test } from "vitest";
import { Random } from "../../../../../../coordinator/sweep/search/random.js";
import { normalCdf } from "../../../../../../coordinator/sweep/search/sampling/normal-cdf.js";
import { choiceDensity, parzenDensity } from "../../../../../../coordinator/sweep/search/sampling/parzen.js";

// scipy.stats.norm.cdf
test.each([
  [-3, 0.0013498980316],
  [-1, 0.1586552539315],
  [0, 0.5],
  [0.5, 0.691462461274],
  [2, 0.9772498680518],
])("normalCdf(%f)", (x, expected) => {
  expect(Math.abs(normalCdf(x) - expected)).toBeLessThan(1e-7);
});

const points = [0, 0.2, 0.25, 0.9, 1];

test.each([[[]], [points], [Array.from({ length: 200 }, (_, i) => (i / 200) ** 3)]])(
  "a density integrates to 1 over the range, case %#",
  (those) => {
    const { logDensity } = parzenDensity(those);
    const cells = 20_000;
    let integral = 0;
    for (let i = 0; i < cells; i += 1) integral += Math.exp(logDensity((i + 0.5) / cells)) / cells;
    expect(integral).toBeCloseTo(1, 4);
  },
);

test("samples follow the density", () => {
  const density = parzenDensity(points);
  const random = new Random(0, "samples");
  const samples = Array.from({ length: 20_000 }, () => density.sample(random));
  for (let tenth = 0; tenth < 10; tenth += 1) {
    const share = samples.filter((x) => Math.floor(x * 10) === tenth).length / samples.length;
    let expected = 0;
    for (let i = 0; i < 100; i += 1) expected += Math.exp(density.logDensity((tenth + (i + 0.5) / 100) / 10)) / 1000;
    expect(Math.abs(share - expected)).toBeLessThan(0.015);
  }
});

test("it is dense where points are", () => {
  const { logDensity } = parzenDensity([0.2, 0.21, 0.22, 0.19, 0.2]);
  expect(logDensity(0.2)).toBeGreaterThan(logDensity(0.5) + 1);
});

test("a coordinate with steps stands for all that is rounded to it", () => {
  const step = 0.25;
  const { logDensity } = parzenDensity([0.5, 0.5, 0.75], step);
  const continuous = parzenDensity([0.5, 0.5, 0.75]);
  let mass = 0;
  for (let i = 0; i < 1000; i += 1) mass += (Math.exp(continuous.logDensity(0.375 + (i + 0.5) / 4000)) * step) / 1000;
  expect(Math.exp(logDensity(0.5))).toBeCloseTo(mass, 5);
});

test("choices count, with one trial more that all share", () => {
  const { logDensity, sample } = choiceDensity([0.5 / 4, 0.5 / 4, 3.5 / 4], 4);
  expect([0, 1, 2, 3].map((place) => Math.exp(logDensity((place + 0.5) / 4)))).toEqual([
    expect.closeTo(2.25 / 4, 12),
    expect.closeTo(0.25 / 4, 12),
    expect.closeTo(0.25 / 4, 12),
    expect.closeTo(1.25 / 4, 12),
  ]);
  const random = new Random(0, "choices");
  const zeros = Array.from({ length: 4000 }, () => sample(random)).filter((x) => x === 0.125).length;
  expect(Math.abs(zeros / 4000 - 2.25 / 4)).toBeLessThan(0.03);
});

test("older points count for less when there are many", () => {
  const old = Array.from({ length: 50 }, () => 0.125);
  const recent = Array.from({ length: 50 }, () => 0.875);
  const { logDensity } = choiceDensity([...old, ...recent], 4);
  expect(logDensity(0.875)).toBeGreaterThan(logDensity(0.125) + 0.3);
});
