import { expect, test } from "vitest";
import { summarize } from "../../../../../coordinator/evaluate/results/summary.js";
import type { ModelResult } from "../../../../../coordinator/evaluate/types.js";
import { madeModel, madeResult, madeTask, meanMetric, recordsOf } from "../../../../support/made-results.js";

const acc = (task: string, value: number, expert?: string) =>
  madeTask({ task, metric: meanMetric("acc"), records: recordsOf("acc", [value]), ...(expert ? { expert } : {}) });
const loss = (task: string, value: number, expert?: string) => {
  const metric = meanMetric("loss", false);
  return madeTask({ task, metric, records: recordsOf("loss", [value]), kind: "custom", ...(expert ? { expert } : {}) });
};

/** A base, experts of two tasks, and two merges; the third task is nobody's. */
const models: readonly ModelResult[] = [
  madeModel("base", "base", [acc("x", 0.4, "ex"), loss("y", 8, "ey"), acc("z", 0.5)]),
  madeModel("ex", "expert", [acc("x", 0.8, "ex"), loss("y", 10, "ey"), acc("z", 0.25)]),
  madeModel("ey", "expert", [acc("x", 0.2, "ex"), loss("y", 4, "ey"), acc("z", 0.5)]),
  madeModel("good", "model", [acc("x", 0.6, "ex"), loss("y", 5, "ey"), acc("z", 0.4)]),
  madeModel("bad", "model", [acc("x", 0.3, "ex"), loss("y", 16, "ey"), acc("z", 0.6)]),
];

const summary = summarize(madeResult(models));
const of = (name: string) => summary.models.find((model) => model.name === name);

test("a task's columns say its metric, its direction and its expert", () => {
  expect(summary.tasks).toEqual([
    { name: "x", metric: "acc", higherIsBetter: true, expert: "ex" },
    { name: "y", metric: "loss", higherIsBetter: false, expert: "ey" },
    { name: "z", metric: "acc", higherIsBetter: true, expert: undefined },
  ]);
});

test("normalised is model/expert, and expert/model where lower is better", () => {
  expect(of("good")?.cells.map((cell) => cell?.normalized)).toEqual([expect.closeTo(0.75), 0.8, undefined]);
  expect(of("good")?.meanNormalized).toBeCloseTo(0.775);
  expect(of("ex")?.cells[0]?.normalized).toBe(1);
});

test("the raw mean is over tasks where higher is better", () => {
  expect(of("good")?.meanRaw).toBeCloseTo((0.6 + 0.4) / 2);
});

test("the worst task is the lowest share of an expert, an expert's own task left out", () => {
  expect(of("bad")?.worst).toEqual({ task: "y", ratio: 0.25 });
  expect(of("ex")?.worst).toEqual({ task: "y", ratio: 0.4 });
  expect(of("ey")?.worst?.task).toBe("x");
});

test("forgetting is what was lost to the base, and counts no gains", () => {
  expect(of("good")?.cells.map((cell) => cell?.forgotten)).toEqual([0, 0, expect.closeTo(0.1)]);
  expect(of("bad")?.cells.map((cell) => cell?.forgotten)).toEqual([expect.closeTo(0.1), 8, 0]);
  expect(of("bad")?.meanForgotten).toBeCloseTo(0.05);
});

test("what is retained is the ratio to the base on tasks without an expert", () => {
  expect(of("good")?.retained).toBeCloseTo(0.8);
  expect(of("bad")?.retained).toBeCloseTo(1.2);
});

test("the best single model is the best of base and experts, and merges are measured against it", () => {
  // ex: (1 + 0.4)/2, ey: (0.25 + 1)/2, base: (0.5 + 0.5)/2.
  expect([summary.judgedBy, summary.bestSingle, summary.bestMerge]).toEqual(["meanNormalized", "ex", "good"]);
  expect(of("good")?.gapToBestSingle).toBeCloseTo(0.775 - 0.7);
  expect(of("ex")?.gapToBestSingle).toBeUndefined();
});

test("without experts models are judged by the raw mean, and the worst task is against the base", () => {
  const plain = summarize(
    madeResult([
      madeModel("base", "base", [acc("x", 0.5), acc("z", 0.5)]),
      madeModel("merge", "model", [acc("x", 0.4), acc("z", 0.75)]),
    ]),
  );
  expect(plain).toMatchObject({ judgedBy: "meanRaw", bestSingle: "base", bestMerge: undefined });
  expect(plain.models[1]?.worst).toEqual({ task: "x", ratio: expect.closeTo(0.8) });
  expect(plain.models[0]?.worst).toBeUndefined();
});

test("a model that lacks a task has no means over it, and an empty cell", () => {
  const { models: rows } = summarize(
    madeResult([madeModel("a", "model", [acc("x", 0.5)]), madeModel("b", "model", [acc("x", 0.4), acc("z", 0.9)])]),
  );
  expect(rows.map(({ meanRaw }) => meanRaw)).toEqual([undefined, expect.closeTo(0.65)]);
  expect(rows[0]?.cells).toEqual([expect.objectContaining({ normalized: undefined }), undefined]);
});

test.each([0, -0.2, Number.NaN])("a ratio to an expert that scores %f means nothing", (value) => {
  const { models: rows } = summarize(
    madeResult([madeModel("e", "expert", [acc("x", value, "e")]), madeModel("m", "model", [acc("x", 0.5, "e")])]),
  );
  expect(rows[1]).toMatchObject({ meanNormalized: undefined, cells: [{ normalized: undefined }] });
});

test("no models, no tasks and no records are no error", () => {
  expect(summarize(madeResult([]))).toMatchObject({ tasks: [], models: [], bestMerge: undefined });
  expect(summarize(madeResult([madeModel("a", "model", [])])).models[0]?.meanRaw).toBeUndefined();
  const empty = madeTask({ task: "x", metric: meanMetric("acc"), records: [] });
  expect(summarize(madeResult([madeModel("a", "model", [empty])])).models[0]?.meanRaw).toBeUndefined();
});
