import { expect, test } from "vitest";
import { meanMetric } from "../../../../coordinator/evaluate/metrics/mean.js";
import { comparePaired } from "../../../../coordinator/evaluate/results/paired.js";
import { gainOf, taskGains } from "../../../../coordinator/sweep/gain.js";
import type { TaskEvidence } from "../../../../coordinator/sweep/objectives.js";
import { Random } from "../../../../coordinator/sweep/search/random.js";

/** So many examples, of which a share is right. */
function scored(name: string, share: number, examples: number, metric = "acc"): TaskEvidence {
  const luck = new Random(0, name);
  const records = Array.from({ length: examples }, (_, i) => {
    const acc = luck.uniform() < share ? 1 : 0;
    return { id: String(i), scores: { acc, logprob: acc, entropy: 1 - acc } };
  });
  return { task: { name, kind: "classification", metric, metricSettings: {}, rungs: [examples], heldOut: 0 }, records };
}

const before = [scored("a", 0.5, 60), scored("b", 0.6, 60)];
const after = [scored("a", 0.7, 60), scored("b", 0.65, 60)];
const [a, b] = [after, before] as const;

test("of one task it is what comparePaired() says", () => {
  const { gain, examples } = gainOf({ name: "a", of: { task: "a" }, metric: "acc" }, before, after);
  const records = { a: before[0]?.records ?? [], b: after[0]?.records ?? [] };
  const { difference } = comparePaired("a", meanMetric("acc"), records);
  expect(gain.value).toBeCloseTo(difference.value, 12);
  expect([gain.low, gain.high]).toEqual([difference.low, difference.high].map((bound) => expect.closeTo(bound, 12)));
  expect(examples).toBe(60);
  expect(taskGains(before, after)[0]).toMatchObject({ task: "a", metric: "acc", difference });
});

test("of a mean it is narrower than of its tasks, and lies between them", () => {
  const width = (of: "mean" | { readonly task: string }): number => {
    const { low, high } = gainOf({ name: "", of, metric: undefined }, before, after).gain;
    return high - low;
  };
  expect(width("mean")).toBeLessThan(Math.max(width({ task: "a" }), width({ task: "b" })));
  const { gain } = gainOf({ name: "", of: "mean", metric: undefined }, before, after);
  const parts = ["a", "b"].map(
    (task) => gainOf({ name: "", of: { task }, metric: undefined }, before, after).gain.value,
  );
  expect(gain.value).toBeCloseTo(((parts[0] ?? 0) + (parts[1] ?? 0)) / 2, 12);
});

test("is larger where it is better, whichever way the metric goes", () => {
  const of = (metric: string): number => gainOf({ name: "", of: "mean", metric }, b, a).gain.value;
  expect(of("entropy")).toBeCloseTo(of("acc"), 12);
  expect(gainOf({ name: "", of: "mean", metric: "acc" }, a, b).gain.value).toBeCloseTo(-of("acc"), 12);
});

test("of a single example has no interval", () => {
  const one = [scored("a", 1, 1)];
  expect(gainOf({ name: "", of: "mean", metric: "acc" }, one, one).gain).toEqual({
    value: 0,
    low: Number.NaN,
    high: Number.NaN,
  });
});
