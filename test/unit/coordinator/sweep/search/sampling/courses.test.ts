import { describe, expect, test } from "vitest";
import { Random } from "../../../../../../coordinator/sweep/search/random.js";
import { sampling } from "../../../../../../coordinator/sweep/search/sampling/kinds.js";
import type {
  Outcome,
  SearchContext,
  SearchKind,
  StepAnswer,
  TrialRequest,
} from "../../../../../../coordinator/sweep/search/searching.js";
import type { Space } from "../../../../../../coordinator/sweep/space.js";
import { type Problem, runSearch } from "../../../../../support/run-search.js";

const space: Space = [
  { kind: "range", name: "weight", low: 0, high: 1.5, scale: "linear" },
  { kind: "range", name: "epsilon", low: 1e-5, high: 1, scale: "log" },
  { kind: "range", name: "density", low: 0.1, high: 0.9, scale: "linear", step: 0.1 },
  { kind: "choice", name: "method", values: ["ties", "dare_ties"] },
];

const problem: Problem = {
  space,
  objectives: 2,
  judge: (_, unit) => [
    unit.reduce((sum, x) => sum + (x - 0.3) ** 2, 0),
    unit.reduce((sum, x) => sum + (x - 0.8) ** 2, 0),
  ],
  trials: 150,
};

function pointsOf(kind: SearchKind, changes: Partial<Problem> = {}): readonly TrialRequest[] {
  return runSearch(kind, { ...problem, ...changes }).requests;
}

describe.each(sampling)("$name", (kind) => {
  test("takes the same course by the same seed", () => {
    expect(pointsOf(kind)).toEqual(pointsOf(kind));
    if (kind.name !== "grid") expect(pointsOf(kind, { seed: 1 })).not.toEqual(pointsOf(kind));
  });

  test("goes on as it began when it is given more trials", () => {
    const short = pointsOf(kind, { trials: 70 });
    expect(short.length).toBeGreaterThan(30);
    expect(pointsOf(kind).slice(0, short.length)).toEqual(short);
  });

  test("takes the same course again with outcomes on record that come as it asks for them", () => {
    const again = replayed(kind, 80);
    expect(again.length).toBeGreaterThan(40);
    expect(again).toEqual(pointsOf(kind).slice(0, again.length));
  });

  test.skipIf(kind.name === "tpe")("proposes the same whatever the width", () => {
    const narrow = pointsOf(kind, { width: 1, trials: 100 });
    const wide = pointsOf(kind, { width: 50, trials: 100 });
    expect(wide).toEqual(narrow.slice(0, wide.length));
  });

  test("stays inside ranges, on steps and among choices", () => {
    for (const { point } of pointsOf(kind)) {
      expect(Object.keys(point)).toEqual(space.map(({ name }) => name));
      expect(Number(point["weight"])).toBeGreaterThanOrEqual(0);
      expect(Number(point["weight"])).toBeLessThanOrEqual(1.5);
      expect(Number(point["epsilon"])).toBeGreaterThanOrEqual(1e-5);
      expect(Number(point["epsilon"])).toBeLessThanOrEqual(1);
      expect((Number(point["density"]) * 10).toFixed(9)).toMatch(/^[1-9]\.0+$/);
      expect(["ties", "dare_ties"]).toContain(point["method"]);
    }
  });
});

test("all but the grid say that they have no end", () => {
  expect(sampling.filter(({ ends = true }) => ends).map(({ name }) => name)).toEqual(["grid"]);
});

/** What a search asks for when it is run by hand with the first `known` outcomes, as they are told by a record. */
function replayed(kind: SearchKind, known: number): readonly TrialRequest[] {
  const record = runSearch(kind, { ...problem, trials: known }).outcomes;
  const context: SearchContext = {
    ...{ space, objectives: 2, rungs: [100], width: 8, experts: new Map(), note: () => undefined },
    random: (stream) => new Random(0, stream),
  };
  const options = Object.fromEntries(Object.entries(kind.options).map(([name, spec]) => [name, spec.default]));
  const search = kind.search(context, options);
  const requests: TrialRequest[] = [];
  let step = search.next();
  while (step.done !== true && requests.length < known) {
    const { value } = step;
    let answer: StepAnswer;
    if (value.kind === "start") {
      answer = value.requests.map((request) => requests.push(request));
    } else {
      answer = value.trials.flatMap((trial): Outcome[] => record.slice(trial - 1, trial));
      if (answer.length < value.trials.length) break;
    }
    step = search.next(answer);
  }
  return requests;
}
