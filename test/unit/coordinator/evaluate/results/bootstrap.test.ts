import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { bootstrap } from "../../../../../coordinator/evaluate/results/bootstrap.js";
import { mcNemar } from "../../../../../coordinator/evaluate/results/mc-nemar.js";
import { comparePaired } from "../../../../../coordinator/evaluate/results/paired.js";
import { quantile } from "../../../../../coordinator/evaluate/results/quantile.js";
import type { ExampleRecord, Metric } from "../../../../../coordinator/evaluate/types.js";
import { philox4x32 } from "../../../../../shared/expression/random.js";
import { meanMetric, recordsOf, someRight } from "../../../../support/made-results.js";
import { repositoryPath } from "../../../../support/repository.js";

interface Golden {
  readonly name: string;
  readonly metric: string;
  readonly columns: Readonly<Record<string, readonly number[]>>;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly standardError: number;
}

const goldens = JSON.parse(readFileSync(repositoryPath("test/conformance/bootstrap/goldens.json"), "utf8")) as {
  cases: readonly Golden[];
  mcNemar: readonly { wins: number; losses: number; p: number }[];
  quantiles: readonly { values: readonly number[]; probability: number; quantile: number }[];
};

const column = (records: readonly ExampleRecord[], name: string): readonly number[] =>
  records.map(({ scores }) => scores[name] ?? Number.NaN);
const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

const perplexity: Metric = {
  name: "perplexity",
  higherIsBetter: false,
  of: (records) => Math.exp(-sum(column(records, "logprob")) / sum(column(records, "tokens"))),
};

const pearson: Metric = {
  name: "pearson",
  higherIsBetter: true,
  of: (records) => {
    const centered = (name: string): readonly number[] => {
      const values = column(records, name);
      return values.map((value) => value - sum(values) / values.length);
    };
    const [x, y] = [centered("x"), centered("y")];
    const dot = (a: readonly number[], b: readonly number[]): number => sum(a.map((value, i) => value * (b[i] ?? 0)));
    return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
  },
};

const metrics = new Map([perplexity, pearson].map((metric) => [metric.name, metric]));

function recordsOfColumns(columns: Golden["columns"]): readonly ExampleRecord[] {
  const [first = []] = Object.values(columns);
  return first.map((_, i) => ({
    id: String(i),
    scores: Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values[i] ?? Number.NaN])),
  }));
}

/**
 * The error of a quantile at 2.5 % from B resamples is √(0.025·0.975/B)/f standard errors with f = 0.058, the normal
 * density there: 0.027 of 10,000 resamples and 0.085 of 1,000. Four of those are allowed, and a half more for skew and
 * for sums of 0 and 1, which come in steps.
 */
const allowed = { mean: 0.16, other: 0.5 } as const;

describe("bootstrap()", () => {
  const single = goldens.cases.filter(({ metric }) => metric !== "difference");

  test.each(single)("gives the interval that SciPy gives: $name", ({ name, metric, columns, ...golden }) => {
    const measured = metrics.get(metric) ?? meanMetric("score");
    const { value, low, high } = bootstrap(name, measured, recordsOfColumns(columns));
    const tolerance = golden.standardError * (metrics.has(metric) ? allowed.other : allowed.mean);
    expect(value).toBeCloseTo(golden.value, 10);
    expect(Math.abs(low - golden.low)).toBeLessThan(tolerance);
    expect(Math.abs(high - golden.high)).toBeLessThan(tolerance);
  });

  test("gives the same bits again, and others for another task", () => {
    const records = recordsOf(
      "acc",
      someRight(31, 50).map((score, i) => score + i / 100),
    );
    const metric = meanMetric("acc");
    expect(bootstrap("a", metric, records)).toEqual(bootstrap("a", metric, records));
    expect(bootstrap("b", metric, records)).not.toEqual(bootstrap("a", metric, records));
  });

  test("a mean's short cut draws what the metric itself would see", () => {
    const records = recordsOf(
      "acc",
      Array.from({ length: 40 }, (_, i) => Math.sin(i)),
    );
    const { meanOf: _, ...plain } = meanMetric("acc");
    const short = bootstrap("t", meanMetric("acc"), records);
    const long = bootstrap("t", plain, records);
    expect(Math.abs(short.low - long.low)).toBeLessThan(0.03);
    expect(Math.abs(short.high - long.high)).toBeLessThan(0.03);
  });

  test("covers the true mean about 95 times of 100 (seed 7)", () => {
    const tries = 300;
    let covered = 0;
    for (let each = 0; each < tries; each++) {
      const scores = Array.from({ length: 100 }, (_, i) =>
        philox4x32([i, each, 0, 0], [7, 0])[0] < 0.7 * 2 ** 32 ? 1 : 0,
      );
      const { meanOf: _, ...metric } = meanMetric("acc");
      const { low, high } = bootstrap(`try ${each}`, metric, recordsOf("acc", scores));
      if (low <= 0.7 && 0.7 <= high) covered += 1;
    }
    // A percentile interval of 100 coin flips covers some 94 %; three standard errors of 300 tries are 4 %.
    expect(covered / tries).toBeGreaterThan(0.9);
    expect(covered / tries).toBeLessThan(0.99);
  });

  test("of one record or none has no interval", () => {
    expect(bootstrap("t", meanMetric("acc"), recordsOf("acc", [1]))).toEqual({ value: 1, low: NaN, high: NaN });
    expect(bootstrap("t", meanMetric("acc"), [])).toEqual({ value: NaN, low: NaN, high: NaN });
  });

  test("of equal records has no width", () => {
    expect(bootstrap("t", meanMetric("acc"), recordsOf("acc", [1, 1, 1]))).toEqual({ value: 1, low: 1, high: 1 });
  });

  test("leaves out resamples without a value, and counts them", () => {
    const records = recordsOfColumns({ x: [1, 2, 3, 4], y: [1, 3, 2, 4] });
    const { low, high, dropped = 0 } = bootstrap("t", pearson, records);
    // All four draws alike: 4 of 4⁴ resamples, about 16 of 1,000; rounding may let some of them pass.
    expect(dropped).toBeGreaterThan(2);
    expect(dropped).toBeLessThan(40);
    expect(low).toBeLessThan(high);
  });

  test("has no interval when most resamples have no value", () => {
    const rare: Metric = { name: "rare", higherIsBetter: true, of: (records) => (records[0]?.id === "0" ? 1 : NaN) };
    const { low, high, dropped = 0 } = bootstrap("t", rare, recordsOf("acc", [1, 1, 1, 1]));
    expect([low, high]).toEqual([NaN, NaN]);
    expect(dropped).toBeGreaterThan(600);
  });
});

describe("comparePaired()", () => {
  const golden = goldens.cases.find(({ metric }) => metric === "difference") as Golden;
  const pair = { a: recordsOf("acc", golden.columns["a"] ?? []), b: recordsOf("acc", golden.columns["b"] ?? []) };

  test("gives the interval of the difference that SciPy gives on pairs", () => {
    const { difference } = comparePaired("t", meanMetric("acc"), pair);
    expect(difference.value).toBeCloseTo(golden.value, 10);
    expect(Math.abs(difference.low - golden.low)).toBeLessThan(golden.standardError * allowed.mean);
    expect(Math.abs(difference.high - golden.high)).toBeLessThan(golden.standardError * allowed.mean);
  });

  test("counts wins, losses and ties, and tests them by McNemar", () => {
    const [a, b] = [golden.columns["a"] ?? [], golden.columns["b"] ?? []];
    const wins = a.filter((score, i) => score < (b[i] ?? 0)).length;
    const losses = a.filter((score, i) => score > (b[i] ?? 0)).length;
    const compared = comparePaired("t", meanMetric("acc"), pair);
    expect(compared).toMatchObject({ test: "mcnemar", examples: { wins, losses, ties: 150 - wins - losses } });
    expect(compared.p).toBe(mcNemar(wins, losses));
  });

  test("where lower is better, a lower score wins, and the difference keeps its sign", () => {
    const { a, b } = { a: recordsOf("loss", [1.5, 2, 3, 4]), b: recordsOf("loss", [1, 1.2, 2, 4]) };
    const { difference, examples, test: name } = comparePaired("t", meanMetric("loss", false), { a, b });
    expect(difference.value).toBeLessThan(0);
    expect([name, examples]).toEqual(["bootstrap", { wins: 3, losses: 0, ties: 1 }]);
  });

  test.each([0, 0.05, 0.3])("p is below 0.05 just when the interval leaves out zero: shift %f", (shift) => {
    const noise = Array.from({ length: 60 }, (_, i) => Math.sin(i * 12.9898));
    const a = recordsOf("score", noise);
    const b = recordsOf(
      "score",
      noise.map((value, i) => value + shift + 0.5 * Math.sin(i * 78.233)),
    );
    const { p, difference } = comparePaired("t", meanMetric("score"), { a, b });
    expect(p < 0.05).toBe(difference.low > 0 || difference.high < 0);
    expect(p).toBeGreaterThan(0);
    expect(p).toBeLessThanOrEqual(1);
  });

  test("a model does not differ from itself", () => {
    const records = recordsOf("score", [0.2, 0.4, 0.9]);
    const { p, difference } = comparePaired("t", meanMetric("score"), { a: records, b: records });
    expect([p, difference]).toEqual([1, { value: 0, low: 0, high: 0 }]);
  });

  test("of one example it does not say, of none neither", () => {
    const one = recordsOf("score", [0.5]);
    expect(comparePaired("t", meanMetric("score"), { a: one, b: one })).toMatchObject({
      p: NaN,
      difference: { low: NaN },
    });
    expect(comparePaired("t", meanMetric("score"), { a: [], b: [] })).toMatchObject({ p: NaN, examples: undefined });
  });
});

test.each(goldens.mcNemar)("mcNemar($wins, $losses) is SciPy's binomial test", ({ wins, losses, p }) => {
  expect(mcNemar(wins, losses) / p).toBeCloseTo(1, 9);
});

test.each(goldens.quantiles)(
  "quantile() is NumPy's: $probability of $values",
  ({ values, probability, quantile: q }) => {
    expect(quantile(Float64Array.from(values), probability)).toBeCloseTo(q, 12);
  },
);
