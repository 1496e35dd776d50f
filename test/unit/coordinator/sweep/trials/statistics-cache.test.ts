import { expect, test } from "vitest";
import { cutPieces } from "../../../../../coordinator/sweep/trials/pieces.js";
import { StatisticsCache } from "../../../../../coordinator/sweep/trials/statistics-cache.js";
import { fakeModel, planOf, recipeFor } from "../../../../support/planning.js";

const tensors = { "layers.0.w": ["F32", [64, 64]], "layers.1.w": ["F32", [64, 64]], norm: ["F32", [64]] } as const;

function ties({ weight = 1, density = 0.5, scope = "tensor", modifiedMs = 0, seed = 0, method = "ties" } = {}) {
  const each = `weight: ${weight}, density: ${density}`;
  const rest = method === "ties" ? `parameters: { scope: ${scope} }` : "parameters: { rescale: l1 }";
  const recipe = recipeFor(method, ["a", "b"], { each, base: "base", rest: `${rest}\nseed: ${seed}` });
  const models = Object.fromEntries(["base", "a", "b"].map((name) => [name, fakeModel(name, tensors, { modifiedMs })]));
  return planOf(recipe, models);
}

/** A cache that has learnt all of a plan's statistics. */
function taught(plan: ReturnType<typeof ties>): StatisticsCache {
  const cache = new StatisticsCache();
  for (const tensor of plan.tensors.keys()) cache.of(plan).learn(tensor, [tensor, 1, 2, 3]);
  return cache;
}

test.each([
  { change: "a weight", plan: ties({ weight: 0.3 }), known: 3 },
  { change: "the seed of what draws nothing", plan: ties({ seed: 7 }), known: 3 },
  { change: "a density", plan: ties({ density: 0.4 }), known: 0 },
  { change: "what is trimmed", plan: ties({ scope: "model" }), known: 0 },
  { change: "a model's file", plan: ties({ modifiedMs: 5 }), known: 0 },
])("statistics outlive $change: $known tensors", ({ plan, known }) => {
  expect(taught(ties()).of(plan).known().size).toBe(known);
});

test("what is drawn at random is drawn anew with another seed", () => {
  const dare = { method: "dare_linear" } as const;
  const cache = taught(ties(dare));
  expect(cache.of(ties({ ...dare, weight: 0.2 })).known().size).toBe(3);
  expect(cache.of(ties({ ...dare, seed: 1 })).known().size).toBe(0);
});

test("statistics over the whole model are missing until all tensors have them", () => {
  const plan = ties({ scope: "model" });
  const cache = new StatisticsCache();
  expect([...cache.of(plan).missingModelwide()]).toEqual([0, 1, 2]);
  cache.of(plan).learn(0, [1]);
  expect(cache.of(plan).missingModelwide().size).toBe(3);
  cache.of(plan).learn(1, [1]);
  cache.of(plan).learn(2, [1]);
  expect(cache.of(ties({ scope: "model", weight: 0.1 })).missingModelwide().size).toBe(0);
});

test("the tensors asked for longest ago are forgotten first", () => {
  const cache = new StatisticsCache(2);
  const plan = ties();
  const statistics = cache.of(plan);
  statistics.learn(0, [0]);
  statistics.learn(1, [1]);
  statistics.known();
  statistics.learn(2, [2]);
  expect([...statistics.known().keys()]).toEqual([1, 2]);
});

test("a tensor stays whole while an agent has to gather for it, and is cut between blocks after that", () => {
  const large = { w: ["F32", [1024, 1024]] } as const;
  const recipe = recipeFor("ties", ["a"], { each: "weight: 1, density: 0.5", base: "base" });
  const plan = planOf(recipe, { base: large, a: large });
  expect(cutPieces(plan, () => false, 1 << 20)).toEqual([{ tensor: 0, begin: 0, end: 1 << 20 }]);
  const pieces = cutPieces(plan, () => true, 1 << 20);
  expect(pieces.map(({ begin }) => begin)).toEqual([0, 1, 2, 3].map((i) => i * (1 << 18)));
  expect(pieces.at(-1)?.end).toBe(1 << 20);
});
