import { describe, expect, test } from "vitest";
import { crossEntropy } from "../../../../../../coordinator/sweep/losses/cross-entropy.js";
import { distillation } from "../../../../../../coordinator/sweep/losses/distillation.js";
import { entropy } from "../../../../../../coordinator/sweep/losses/entropy.js";
import { adamerging } from "../../../../../../coordinator/sweep/search/learning/adamerging.js";
import { atlas } from "../../../../../../coordinator/sweep/search/learning/atlas.js";
import { expertMerging } from "../../../../../../coordinator/sweep/search/learning/expert-merging.js";
import type { SearchKind } from "../../../../../../coordinator/sweep/search/searching.js";
import { type Course, runSearch } from "../../../../../support/run-search.js";
import { patternSearch, type Toy, toyNetwork } from "./toy-network.js";

const kinds = [
  { kind: adamerging, loss: entropy, start: 0.3, options: {} },
  { kind: atlas, loss: crossEntropy, start: 0, options: {} },
  { kind: expertMerging, loss: distillation, start: 0.1, options: { gamma: 0 } },
] as const;

type Case = (typeof kinds)[number];

const cases = kinds.flatMap((one) =>
  (["tanh", "relu"] as const).map((activation) => [one.kind.name, activation, one] as const),
);

function run(toy: Toy, { kind, loss, options }: Case, more: object = {}): Course {
  const problem = { space: toy.space, judge: toy.judge(loss), loss, experts: toy.experts };
  return runSearch(kind, problem, { ...options, ...more });
}

const bestOf = (toy: Toy, { result }: Course): readonly number[] =>
  toy.space.map(({ name }) => Number(result?.best?.[name]));

interface Facts {
  readonly reached: number;
  readonly course: readonly Readonly<Record<string, number>>[];
}
const factsOf = ({ result }: Course): Facts => result?.facts as unknown as Facts;

describe.each(cases)("%s, %s network", (_name, activation, one) => {
  const toy = toyNetwork(2, { activation });

  test("begins where its paper begins", () => {
    const course = run(toy, one);
    expect(Object.values(course.requests[0]?.point ?? {})).toEqual([one.start, one.start, one.start]);
  });

  test("comes in five rounds of slopes to the loss that a walk over hundreds of merges finds", () => {
    const start = toy.space.map(() => one.start);
    const walked = patternSearch((x) => toy.loss(one.loss, x), start, [0, 1.5]);
    const course = run(toy, one);
    const [before, reached] = [toy.loss(one.loss, start), toy.loss(one.loss, bestOf(toy, course))];
    expect(factsOf(course).reached).toBeCloseTo(reached, 9);
    expect((before - reached) / (before - walked.value)).toBeGreaterThan(0.985);
    expect(course.outcomes.length).toBeLessThan(45);
  });

  test("comes further than Adam with as many trials", () => {
    const tangents = run(toy, one);
    const adam = run(toy, one, { optimizer: "adam", rounds: 6 });
    expect(adam.outcomes.length).toBeGreaterThanOrEqual(tangents.outcomes.length);
    expect(factsOf(adam).reached).toBeGreaterThan(factsOf(tangents).reached);
  });
});

test.each(cases.slice(0, 1))(
  "%s by many steps of Adam, and by SPSA, comes to the same place",
  (_name, _activation, one) => {
    const toy = toyNetwork(2);
    const tangents = factsOf(run(toy, one)).reached;
    expect(factsOf(run(toy, one, { optimizer: "adam", rate: 0.05, rounds: 60 })).reached).toBeCloseTo(tangents, 2);
    expect(factsOf(run(toy, one, { optimizer: "spsa", rounds: 60 })).reached).toBeCloseTo(tangents, 1);
  },
);

test("coefficients for groups of layers do better than one for each expert", () => {
  const [task, group] = [false, true].map((groups) => run(toyNetwork(2, { groups }), kinds[2]));
  expect(factsOf(group as Course).reached).toBeLessThan(factsOf(task as Course).reached - 0.01);
});

test("with all of one expert and nothing of the others the entropy is that expert's own", () => {
  const toy = toyNetwork(5);
  const judge = toy.judge(entropy);
  const merge = judge({ point: { "expert 0": 0, "expert 1": 1, "expert 2": 0 } });
  const expert = judge({ point: {}, reference: "expert 1" });
  expect(merge).toEqual(expert);
});

test("Expert Merging with one task finds its expert again, and the divergence ends at 0", () => {
  const toy = toyNetwork(4, { tasks: 1, groups: true });
  const course = run(toy, kinds[2]);
  expect(factsOf(course).reached).toBeLessThan(1e-5);
  for (const value of bestOf(toy, course)) expect(value).toBeCloseTo(1, 2);
});

test("no trial leaves the ranges, and what pulls outwards ends on the wall", () => {
  const toy = toyNetwork(4, { tasks: 1, groups: true, range: [0, 0.6] });
  const course = run(toy, kinds[2]);
  for (const { point } of course.requests) {
    for (const value of Object.values(point)) {
      expect(value).toBeGreaterThanOrEqual(0);
      expect(value).toBeLessThanOrEqual(0.6);
    }
  }
  expect(Math.max(...bestOf(toy, course))).toBe(0.6);
});

test("Expert Merging stays where it began when distance costs much, and aTLAS at the base", () => {
  const toy = toyNetwork(2);
  for (const value of bestOf(toy, run(toy, kinds[2], { gamma: 100 }))) expect(value).toBeCloseTo(0.1, 3);
  for (const norm of ["1", "2"]) {
    for (const value of bestOf(toy, run(toy, kinds[1], { gamma: 100, norm }))) expect(value).toBeCloseTo(0, 3);
  }
});

test("at a kink that the tangent does not know of, steps are made shorter and no bad one is taken", () => {
  const toy = toyNetwork(2);
  const judge = toy.judge(entropy);
  // Above 0.4 the first expert ruins everything: its answers turn to noise.
  const kinked: typeof judge = (request) => {
    const x = Number(request.point["expert 0"]);
    const judged = judge(request);
    if (x <= 0.4 || typeof judged !== "object" || !("answers" in judged)) return judged;
    const flat = [...(judged.answers ?? [])].map(([task, answers]) => {
      return [task, { ...answers, values: answers.values.map((value) => value / (1 + 50 * (x - 0.4))) }] as const;
    });
    const answers = new Map(flat);
    return {
      answers,
      losses: [[...answers.values()].reduce((sum, one) => sum + entropy.value(one) / answers.size, 0)],
    };
  };
  const course = runSearch(adamerging, { space: toy.space, judge: kinked, loss: entropy }, { radius: 0.5 });
  const steps = factsOf(course).course.filter(({ ratio }) => ratio !== undefined);
  const bad = steps.findIndex(({ ratio }) => !((ratio ?? 0) >= 0.25));
  expect(bad).toBeGreaterThanOrEqual(0);
  expect(steps[bad + 1]?.["radius"]).toBeLessThan(steps[bad]?.["radius"] ?? 0);
  const taken = steps.filter(({ ratio }) => (ratio ?? 0) > 0.1).map(({ loss }) => loss ?? 0);
  expect(taken).toEqual(taken.toSorted((a, b) => b - a));
  expect(bestOf(toy, course)[0]).toBeLessThan(0.45);
});

describe("trials that fail", () => {
  const toy = toyNetwork(2);
  const judge = toy.judge(entropy);
  const spoilt = (isSpoilt: (point: Readonly<Record<string, unknown>>) => boolean, reason: string | undefined) =>
    runSearch(adamerging, {
      ...{ space: toy.space, loss: entropy },
      judge: (request) => {
        const judged = judge(request);
        if (!isSpoilt(request.point) || typeof judged !== "object" || !("answers" in judged)) return judged;
        if (reason !== undefined) return reason;
        const nonsense = [...(judged.answers ?? [])].map(([task, answers]) => {
          return [task, { ...answers, values: answers.values.map(() => Number.NaN) }] as const;
        });
        return { losses: [Number.NaN], answers: new Map(nonsense) };
      },
    });

  test.each([["an agent is lost"], [undefined]])("beside the start leave a slope from one side (%s)", (reason) => {
    const course = spoilt((point) => Number(point["expert 1"]) > 0.3 && Number(point["expert 1"]) < 0.36, reason);
    expect(course.notes[0]).toBe('The slope along "expert 1" is from one side: the other trial failed');
    expect(factsOf(course).reached).toBeLessThan(toy.loss(entropy, [0.3, 0.3, 0.3]) - 0.2);
  });

  test("on both sides leave the coefficient where it is", () => {
    const course = spoilt((point) => point["expert 1"] !== 0.3, "no such luck");
    expect(course.notes[0]).toBe('"expert 1" stays where it is: both trials beside it failed');
    expect(bestOf(toy, course)[1]).toBe(0.3);
    expect(factsOf(course).reached).toBeLessThan(toy.loss(entropy, [0.3, 0.3, 0.3]) - 0.1);
  });

  test("at the end of a step make it shorter", () => {
    const course = spoilt((point) => Number(point["expert 0"]) + Number(point["expert 1"]) > 0.9, "out of memory");
    expect(course.notes).toContain("A step is made shorter: the trial at its end is of no use (out of memory)");
    expect(factsOf(course).reached).toBeLessThan(toy.loss(entropy, [0.3, 0.3, 0.3]));
  });

  test("at the start end the search, with the reason and without a winner", () => {
    const course = spoilt(() => true, "out of memory");
    expect(course.notes.at(-1)).toContain("the trial at the start is of no use (out of memory)");
    expect(course.result?.best).toBeUndefined();
  });
});

test("a task whose expert did not answer is left out, with a word", () => {
  const toy = toyNetwork(2);
  const judge = toy.judge(distillation);
  const course = runSearch(expertMerging, {
    ...{ space: toy.space, loss: distillation, experts: toy.experts },
    judge: (request) => {
      const judged = judge(request);
      if (typeof judged !== "object" || !("answers" in judged)) return judged;
      const { teacher: _, ...untaught } = judged.answers?.get("task 2") ?? { values: new Float32Array(4), width: 4 };
      return { ...judged, answers: new Map([...(judged.answers ?? []), ["task 2", untaught] as const]) };
    },
  });
  expect(course.notes).toEqual(['Task "task 2" is left out: its expert\'s answers are not known']);
  // Nothing is left that the third expert would be good for.
  const [first = 0, second = 0, third = 1] = bestOf(toy, course);
  expect(third).toBeLessThan(Math.min(first, second));
});

test("a task counts by its weight", () => {
  const toy = toyNetwork(2);
  const only: SearchKind = {
    ...expertMerging,
    search: (context, options) => expertMerging.search({ ...context, taskWeights: new Map([["task 1", 1]]) }, options),
  };
  const course = run(toy, { kind: only, loss: distillation, start: 0.1, options: { gamma: 0 } } as unknown as Case);
  expect(factsOf(course).reached).toBeLessThan(0.01);
  expect(bestOf(toy, course)[1]).toBeGreaterThan(0.8);
});

test("slopes that would not fit into memory are refused before they are measured, with what to do", () => {
  const space = Array.from({ length: 600 }, (_, i) => {
    return { kind: "range", name: `x${i}`, low: 0, high: 1, scale: "linear" } as const;
  });
  let trials = 0;
  const judge = () => {
    trials += 1;
    return { losses: [0], answers: new Map([["task", { values: new Float32Array(1_000_000), width: 1000 }]]) };
  };
  expect(() => runSearch(adamerging, { space, judge, loss: entropy })).toThrow(
    /Cannot hold the slopes of all answers, 2\.\d+ G\S+ for 600 coefficients, the limit is 2\S* G\S+: set "limit" under "tasks"/,
  );
  expect(trials).toBe(1);
});

test.each([
  [{ kind: "choice", name: "mode", values: ["a", "b"] } as const, 'it follows slopes, and choices have none: "mode"'],
  [{ kind: "range", name: "k", low: 0, high: 4, step: 1, scale: "linear" } as const, '"k" moves in steps'],
])("a space without slopes is refused: %o", (dimension, message) => {
  for (const { kind } of kinds) {
    const problem = { space: [dimension], objectives: 1, rungs: [1], experts: new Map([["a", "b"]]) };
    expect(kind.refuses?.(problem, {})).toContain(message);
  }
});

test.each(cases.slice(0, 3))(
  "%s proposes the same again when it is told the same, and begins each round at once",
  (_name, _activation, one) => {
    const toy = toyNetwork(2);
    const [first, second] = [run(toy, one), run(toy, one)];
    expect(second.requests).toEqual(first.requests);
    expect(second.result).toEqual(first.result);
  },
);
