import { expect, test } from "vitest";
import type { TaskAnswers } from "../../../../../../coordinator/sweep/losses/answer-loss.js";
import { infoNce } from "../../../../../../coordinator/sweep/losses/info-nce.js";
import { selfPositioning } from "../../../../../../coordinator/sweep/search/learning/self-positioning.js";
import { slerpChain } from "../../../../../../coordinator/sweep/search/learning/slerp-chain.js";
import { Random } from "../../../../../../coordinator/sweep/search/random.js";
import type { SearchKind } from "../../../../../../coordinator/sweep/search/searching.js";
import type { Dimension, Space } from "../../../../../../coordinator/sweep/space.js";
import { runSearch } from "../../../../../support/run-search.js";

// Sentences are vectors, and a model is a matrix that embeds them: the base, and two experts whose task vectors have
// different lengths. Expert 0 sees what pairs have in common, expert 1 sees it half and adds noise.

const [inputs, width, pairs, mu] = [6, 5, 30, 0.02];
const random = new Random(1, "sentences");
const numbers = (count: number, scale: number): Float64Array =>
  Float64Array.from({ length: count }, () => random.normal() * scale);
const base = numbers(inputs * width, 0.3);
const useful = numbers(inputs * width, 1);
const vectors = [
  useful.map((value, i) => (i % inputs < 3 ? value : 0)),
  useful.map((value, i) => (i % inputs < 3 ? 0.5 * value : 2 * value)),
];
const first = Array.from({ length: pairs }, () => numbers(inputs, 1));
// What the first three numbers of a sentence say, its pair says too; the others are anything.
const second = first.map((sentence) =>
  sentence.map((value, i) => (i < 3 ? value + 0.3 * random.normal() : random.normal())),
);
const gram = vectors.map((u) => vectors.map((v) => u.reduce((sum, value, i) => sum + value * (v[i] ?? 0), 0)));

const space: Space = [0, 1].map((i): Dimension => {
  return { kind: "range", name: `weight ${i}`, model: `expert ${i}`, low: -2, high: 2, scale: "linear" };
});

function embed(weights: readonly number[]): TaskAnswers {
  const matrix = base.map((value, i) => value + weights.reduce((sum, w, k) => sum + w * (vectors[k]?.[i] ?? 0), 0));
  const rows = [...first, ...second].flatMap((sentence) =>
    Array.from({ length: width }, (_, row) =>
      sentence.reduce((sum, value, k) => sum + value * (matrix[row * inputs + k] ?? 0), 0),
    ),
  );
  return { values: Float32Array.from(rows), width, rowsPerExample: 2 };
}

const lossAt = (multiples: readonly number[]): number => infoNce.value(embed(multiples));

function run(options: Record<string, number | string>, known = true) {
  const kind: SearchKind = {
    ...selfPositioning,
    search: (context, values) => {
      const taskVectors = {
        models: ["expert 1", "expert 0"],
        gram: [...gram].reverse().map((row) => [...row].reverse()),
      };
      return selfPositioning.search(known ? { ...context, taskVectors } : context, values);
    },
  };
  const judge = ({ point }: { readonly point: Readonly<Record<string, unknown>> }) => {
    const answers = embed(space.map(({ name }) => Number(point[name])));
    return { losses: [infoNce.value(answers)], answers: new Map([["pairs", answers]]) };
  };
  return runSearch(kind, { space, judge, loss: infoNce }, { mu, ...options });
}

/** All positions of two models and all norms, close together. Only the ratio of the weights counts. */
const optimum = Array.from({ length: 101 }, (_, i) => 0.05 + 0.0095 * i)
  .flatMap((a) =>
    Array.from({ length: 101 }, (_, k) => k * 0.02).flatMap((norm) => [
      [a, 1, norm],
      [1, a, norm],
    ]),
  )
  .map(([a = 1, b = 1, norm = 1]) => {
    const multiples = slerpChain(gram, [a, b]).map((value) => norm * value);
    return { multiples: [...multiples], cost: lossAt([...multiples]) + mu * norm };
  })
  .reduce((best, one) => (one.cost < best.cost ? one : best));

const startCost = lossAt([...slerpChain(gram, [0.5, 0.5])]) + mu;

test.each([
  ["tangent", 0.97, {}],
  ["adam", 0.97, { rate: 0.05 }],
  ["spsa", 0.85, {}],
])("Self Positioning by %s comes to the best position and norm that there are", (optimizer, share, options) => {
  const course = run({ optimizer, ...options });
  const facts = course.result?.facts as { reached: number; norm: number };
  expect((startCost - facts.reached) / (startCost - optimum.cost)).toBeGreaterThan(share);
  expect(facts.reached).toBeGreaterThan(optimum.cost - 1e-3);
  const best = space.map(({ name }) => Number(course.result?.best?.[name]));
  expect(lossAt(best) + mu * facts.norm).toBeCloseTo(facts.reached, 9);
});

test("the first trial stands in the middle of the experts, on the sphere, in the order of the recipe", () => {
  const expected = slerpChain(gram, [0.5, 0.5]);
  expect(Object.values(run({}).requests[0]?.point ?? {})).toEqual([...expected]);
});

test("without lengths and angles it says what it takes them for", () => {
  expect(run({}, false).notes).toContain(
    "Lengths and angles of task vectors are not known: they are taken for equally long and orthogonal",
  );
});

test("a large mu brings the merge back to the base, and wider ranges are asked for where they end the way", () => {
  const course = run({ mu: 100 });
  expect(Object.values(course.result?.best ?? {}).map(Number)).toEqual([0, 0]);
  const narrow = space.map((dimension) => ({ ...dimension, low: 0, high: 0.3 }) as Dimension);
  const judge = () => {
    const answers = embed([0.3, 0.3]);
    return { losses: [infoNce.value(answers)], answers: new Map([["pairs", answers]]) };
  };
  const cut = runSearch(selfPositioning, { space: narrow, judge, loss: infoNce }, { mu: 0 });
  expect(cut.notes).toContain(
    'Weights lie at the ends of their ranges, wider ones may be better: "weight 0", "weight 1"',
  );
});

test.each([
  [{ kind: "range", name: "lambda", low: 0, high: 1, scale: "linear" } as const, '"lambda" is not one'],
  [{ ...(space[0] as Dimension), name: "again" }, '"expert 0" has several'],
])("it refuses a space with more than one weight for each model: %o", (extra, message) => {
  const problem = { space: [...space, extra], objectives: 1, rungs: [1], experts: new Map<string, string>() };
  expect(selfPositioning.refuses?.(problem, {})).toContain(message);
});
