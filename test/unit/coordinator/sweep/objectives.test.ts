import { expect, test } from "vitest";
import type { AnswerLoss } from "../../../../coordinator/sweep/losses/answer-loss.js";
import { exampleScores, judge, type TaskEvidence } from "../../../../coordinator/sweep/objectives.js";
import type { Constraint, Objective, ScoredTask } from "../../../../coordinator/sweep/types.js";

const at = { line: 1, column: 1 };

function classified(name: string, right: readonly number[]): TaskEvidence {
  const task: ScoredTask = {
    name,
    kind: "classification",
    metric: "acc",
    metricSettings: {},
    rungs: [right.length],
    heldOut: 0,
  };
  const records = right.map((acc, i) => ({ id: String(i), scores: { acc, logprob: acc - 1, entropy: 2 - acc } }));
  return { task, records, answers: { values: Float32Array.from(right), width: 1 } };
}

/** Its perplexity for each word is e to the mean of these. */
function read(name: string, nats: readonly number[]): TaskEvidence {
  const task: ScoredTask = {
    name,
    kind: "perplexity",
    metric: "word_perplexity",
    metricSettings: {},
    rungs: [1],
    heldOut: 0,
  };
  return { task, records: nats.map((one, i) => ({ id: String(i), scores: { logprob: -one, words: 1 } })) };
}

const a = classified("a", [1, 1, 1, 0]);
const b = classified("b", [1, 0, 0, 0]);
const sums: AnswerLoss = {
  name: "sum",
  needsTeacher: false,
  needsClasses: false,
  value: ({ values }) => values.reduce((sum, value) => sum + value, 0),
  gradient: ({ values }) => new Float64Array(values.length),
};

function metric(of: Objective["of"], name?: string, weight = 1): Objective {
  return { name: "it", of, weight, kind: "metric", metric: name };
}

test.each([
  { what: "a mean of what is higher", objective: metric("mean"), on: [a, b], value: 0.5, loss: -0.5 },
  { what: "the worst of them", objective: metric("worst"), on: [a, b], value: 0.25, loss: -0.25 },
  { what: "one task", objective: metric({ task: "a" }), on: [a, b], value: 0.75, loss: -0.75 },
  { what: "a metric that is to be low", objective: metric("mean", "entropy"), on: [a, b], value: 1.5, loss: 1.5 },
  {
    what: "the worst of what is to be low",
    objective: metric("worst", "entropy"),
    on: [a, b],
    value: 1.75,
    loss: 1.75,
  },
  { what: "a perplexity", objective: metric("worst"), on: [read("c", [1, 1])], value: Math.E, loss: Math.E },
  { what: "metrics of both kinds", objective: metric("mean"), on: [a, read("c", [0])], value: -0.125, loss: 0.125 },
  {
    what: "a loss of answers",
    objective: { name: "it", of: "mean", weight: 1, kind: "loss", loss: "sum" } satisfies Objective,
    on: [a, b],
    value: 2,
    loss: 2,
  },
])("judges $what", ({ objective, on, value, loss }) => {
  const judged = judge({ objectives: [objective], constraints: [] }, on, [sums]);
  expect(judged.objectives["it"]).toBeCloseTo(value, 12);
  expect(judged.losses[0]).toBeCloseTo(loss, 12);
  expect(judged).not.toHaveProperty("flaw");
});

test("adds objectives up by their weights, and keeps them apart as well", () => {
  const objectives = [metric({ task: "a" }, "acc", 2), { ...metric({ task: "b" }, "entropy", 0.5), name: "other" }];
  const { losses, loss, objectives: told } = judge({ objectives, constraints: [] }, [a, b], []);
  expect(losses).toEqual([-0.75, 1.75]);
  expect(loss).toBe(2 * -0.75 + 0.5 * 1.75);
  expect(told).toEqual({ it: 0.75, other: 1.75 });
});

test.each<{ constraint: Omit<Constraint, "name" | "at">; violation: number }>([
  { constraint: { of: "mean", metric: "acc", atLeast: 0.5 }, violation: 0 },
  { constraint: { of: "worst", metric: undefined, atLeast: 0.5 }, violation: 0.25 },
  { constraint: { of: { task: "b" }, metric: "entropy", atMost: 1.5 }, violation: 0.25 },
  { constraint: { of: { task: "a" }, metric: "acc", atLeast: 0.8, atMost: 0.7 }, violation: 0.1 },
])("$constraint is violated by $violation", ({ constraint, violation }) => {
  const constraints = [{ ...constraint, name: "c", at }];
  expect(judge({ objectives: [metric("mean")], constraints }, [a, b], []).violation).toBeCloseTo(violation, 12);
});

test.each([
  { objective: metric("mean", "f1"), flaw: 'score is not a number: task "a", metric "f1"' },
  { objective: metric({ task: "c" }), flaw: "score is not a number: no task at all" },
])("a score that is not a number is said to be one: $flaw", ({ objective, flaw }) => {
  expect(judge({ objectives: [objective], constraints: [] }, [a, b], []).flaw).toBe(flaw);
});

test.each<[string, TaskEvidence, readonly Objective[], readonly number[] | undefined]>([
  ["of the task's own metric", a, [metric("mean")], [1, 1, 1, 0]],
  ["of the metric that is asked for", a, [metric("mean", "logprob")], [0, 0, 0, -1]],
  ["larger where it is better", a, [metric({ task: "a" }, "entropy")], [-1, -1, -1, -2]],
  ["not of another task's metric", a, [metric({ task: "a" }), metric({ task: "b" }, "logprob")], [1, 1, 1, 0]],
  ["none of two metrics at once", a, [metric("mean"), metric({ task: "a" }, "logprob")], undefined],
  ["none of a loss of answers", a, [{ ...metric("mean"), kind: "loss", loss: "entropy" }], undefined],
  ["none where the worst task decides", a, [metric("worst")], undefined],
  ["none of a metric that is no mean", read("c", [1]), [metric("mean")], undefined],
])("examples have the scores that the objectives ask for: %s", (_, evidence, objectives, expected) => {
  const scores = exampleScores(evidence, objectives);
  expect(scores && [...scores]).toEqual(expected);
});
