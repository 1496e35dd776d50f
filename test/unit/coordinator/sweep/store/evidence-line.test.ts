import { expect, test } from "vitest";
import { toAnswers, toAnswersLine, toLines, toRecords } from "../../../../../coordinator/sweep/store/evidence-line.js";
import { formatTrial, parseTrial } from "../../../../../coordinator/sweep/store/trial-line.js";
import type { Segment, TrialRecord } from "../../../../../coordinator/sweep/types.js";

const segment: Segment = { task: "a", part: "held out", examples: 2, key: "k" };

/** What a reader of the file has. */
function throughJson<Value>(value: Value): Value {
  return JSON.parse(JSON.stringify(value)) as Value;
}

test("records come back to the bit", () => {
  const records = [
    { id: "x", scores: { acc: 0.1 + 0.2, logprob: -0 }, prediction: [1, "two"], answer: "right" },
    { id: "y", scores: { acc: Number.NaN, logprob: Number.NEGATIVE_INFINITY }, prediction: [2], answer: "wrong" },
  ];
  const { examples, scores } = throughJson(toLines(segment, 3, records));
  expect(toRecords(examples, scores)).toEqual(records);
  expect(Object.is(toRecords(examples, scores)[0]?.scores["logprob"], -0)).toBe(true);
  expect(scores).toMatchObject({ segment: "k", task: "a", part: "held out", trial: 3, set: examples.set });
});

test("examples are the same set whatever a model made of them", () => {
  const of = (acc: number) => toLines(segment, 1, [{ id: "x", scores: { acc }, prediction: acc, answer: 1 }]);
  expect(of(0).examples).toEqual(of(1).examples);
  expect(of(0).examples.set).not.toBe(toLines(segment, 1, [{ id: "z", scores: {}, answer: 1 }]).examples.set);
});

test("answers come back to the bit", () => {
  const answers = {
    values: Float32Array.of(1.5, Number.NaN, -0, 1e-40),
    width: 2,
    classes: Int32Array.of(1, -1),
    rowsPerExample: 2,
  };
  expect(toAnswers(throughJson(toAnswersLine("k", answers)))).toEqual(answers);
  expect(toAnswers(throughJson(toAnswersLine("k", { values: Float32Array.of(1), width: 1 })))).toEqual({
    values: Float32Array.of(1),
    width: 1,
  });
});

test("a trial comes back as it was, whatever its numbers and words", () => {
  const record: TrialRecord = {
    ...{ trial: 4, label: 'a "label"\n', point: { x: 0.1 + 0.2, method: "NaN", on: true }, rung: 1, key: "k" },
    ...{ status: "failed", failure: { code: "not_a_number", message: "score is not a number" }, weights: "w" },
    ...{ objectives: { acc: Number.NaN }, losses: [Number.NaN, -0], loss: Number.POSITIVE_INFINITY, violation: 0 },
    ...{ metrics: { a: { acc: Number.NaN } }, examples: 2, fresh: 2, segments: [segment], retried: true },
    ...{ startedAt: "2026-01-01T00:00:00.000Z", seconds: 1.5 },
  };
  expect(parseTrial(formatTrial(record))).toEqual(record);
  expect(parseTrial('{"trial":1}')).toBeUndefined();
});
