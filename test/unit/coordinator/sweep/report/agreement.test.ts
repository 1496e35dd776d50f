import { describe, expect, test } from "vitest";
import type { ExampleRecord } from "../../../../../coordinator/evaluate/types.js";
import { type AskedModel, agreementOf, askedExamples } from "../../../../../coordinator/sweep/report/agreement.js";

const asked = (name: string, isTop: boolean): AskedModel => {
  return { name, isTop, segments: [{ task: "digits", part: 0, examples: 3, key: name }] };
};
const models = [asked("one", true), asked("two", true), asked("three", true), asked("base", false)];

/** What each model says about three examples whose answers are 7, 8 and 9. */
const evidence = new Map(
  Object.entries({ one: [7, 1, 9], two: [7, 1, 2], three: [7, 2, 9], base: [1, 8, 2] }).map(([name, said]) => [
    name,
    said.map((prediction, i): ExampleRecord => {
      return { id: String(i), scores: { acc: prediction === 7 + i ? 1 : 0 }, prediction, answer: 7 + i };
    }),
  ]),
);

describe("askedExamples()", () => {
  const examples = askedExamples(models, evidence, () => "acc");

  test("has the hardest for the best trials first", () => {
    expect(examples.map(({ id, right }) => [id, right])).toEqual([
      ["1", 0],
      ["2", 2 / 3],
      ["0", 1],
    ]);
  });

  test("counts the pairs of the best trials that say the same, right or wrong", () => {
    expect(examples.map(({ agree }) => agree)).toEqual([1 / 3, 1 / 3, 1]);
  });

  test("goes by right and wrong where predictions are measurements", () => {
    const measured = new Map(
      [...evidence].map(([name, records]) => [name, records.map((one, i) => ({ ...one, prediction: i + 0.25 }))]),
    );
    expect(askedExamples(models, measured, () => "acc").map(({ agree }) => agree)).toEqual([1, 1 / 3, 1]);
  });

  test("shows no score that is no share as if it were one", () => {
    const [example] = askedExamples(models, evidence, () => undefined);
    expect(example?.scores).toEqual([undefined, undefined, undefined, undefined]);
  });
});

test("a picture has a row for each model, and two for the best trials together", () => {
  const view = agreementOf(
    "held out",
    models,
    askedExamples(models, evidence, () => "acc"),
  );
  expect(view?.rows.map(({ name }) => name)).toEqual([
    "top trials agree",
    "top trials right",
    "one",
    "two",
    "three",
    "base",
  ]);
  expect(view?.scores.at(-1)).toEqual([1, 0, 0]);
  expect(view?.predictions.at(-1)?.map((place) => view.words[place])).toEqual(["8", "2", "1"]);
});

test("of many examples, some between the hardest and the easiest are shown", () => {
  const records = Array.from({ length: 1000 }, (_, i): ExampleRecord => ({ id: String(i), scores: { acc: i / 999 } }));
  const one = [asked("one", true)];
  const view = agreementOf(
    "all",
    one,
    askedExamples(one, new Map([["one", records]]), () => "acc"),
  );
  expect(view?.columns).toHaveLength(240);
  expect([view?.columns[0]?.id, view?.columns.at(-1)?.id]).toEqual(["0", "999"]);
  expect(view?.note).toBe("240 of 1000 examples, evenly from the hardest on.");
});
