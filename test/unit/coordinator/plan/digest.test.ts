import { expect, test } from "vitest";
import { type FakeModelOptions, type FakeTensors, fakeModel, planOf, recipeFor } from "../../../support/planning.js";

const tensors: FakeTensors = { "layers.0.w": ["BF16", [4, 4]], "layers.1.w": ["BF16", [4, 4]], ids: ["I64", [2]] };
const recipe = recipeFor("dare_ties", ["a", "b"], { each: "weight: 0.5, density: 0.5", base: "base", rest: "seed: 1" });

interface Variation extends FakeModelOptions {
  /** Of all models. */
  readonly tensors?: FakeTensors;
  readonly shardBytes?: number;
}

function digestOf(text: string, { tensors: own = tensors, ...options }: Variation = {}): string {
  return planOf(text, { base: own, a: own, b: own }, options).digest;
}

const same: Readonly<Record<string, () => string>> = {
  "a second time": () => digestOf(recipe),
  "other folders": () => digestOf(recipe, { folder: "/elsewhere" }),
  "other times": () => digestOf(recipe, { modifiedMs: 1_767_225_600_000 }),
  "other names of models": () =>
    planOf(recipe.replace("model: a", "model: other"), { base: tensors, other: tensors, b: tensors }).digest,
  "comments and empty lines": () => digestOf(`# A comment\n\n${recipe}\n`),
  "a default that is spelt out": () => digestOf(`${recipe}parameters: { lambda: 1 }\n`),
  "a name for the recipe": () => digestOf(`${recipe}name: mine\n`),
  "a config": () => digestOf(recipe, { config: { model_type: "llama" } }),
  "a limit for files that all tensors fit": () => digestOf(recipe, { shardBytes: 1_000 }),
};

test.each(Object.keys(same))("digestPlan() is unchanged by %s", (title) => {
  expect(same[title]?.()).toBe(digestOf(recipe));
});

const other: Readonly<Record<string, () => string>> = {
  "the method": () => digestOf(recipe.replace("dare_ties", "dare_linear")),
  "a weight": () => digestOf(recipe.replace("weight: 0.5", "weight: 0.25")),
  "a density": () => digestOf(recipe.replace("density: 0.5", "density: 0.4")),
  "the seed": () => digestOf(recipe.replace("seed: 1", "seed: 2")),
  "a choice": () => digestOf(`${recipe}parameters: { rescale: inverse }\n`),
  "a boolean": () => digestOf(`${recipe}parameters: { normalize: true }\n`),
  "the output's dtype": () => digestOf(`${recipe}dtype: float32\n`),
  "the size of output files": () => digestOf(recipe, { shardBytes: 40 }),
  "one more tensor": () => digestOf(recipe, { tensors: { ...tensors, extra: ["BF16", [4]] } }),
  "a shape": () => digestOf(recipe, { tensors: { ...tensors, ids: ["I64", [1, 2]] } }),
  "a source's dtype": () => digestOf(recipe, { tensors: { ...tensors, "layers.0.w": ["F16", [4, 4]] } }),
  "the order of tensors in files": () =>
    digestOf(recipe, { tensors: Object.fromEntries(Object.entries(tensors).reverse()) }),
  "any other byte of a source's header": () => digestOf(recipe, { note: "retrained" }),
};

test.each(Object.keys(other))("digestPlan() changes with %s", (title) => {
  expect(other[title]?.()).toMatch(/^[0-9a-f]{64}$/);
  expect(other[title]?.()).not.toBe(digestOf(recipe));
});

test("digestPlan() tells 0 from -0, which gives zeros of another sign", () => {
  const weighted = (weight: string) => digestOf(recipe.replace("weight: 0.5", `weight: ${weight}`));
  expect(weighted("-0.0")).not.toBe(weighted("0.0"));
});

test("digestPlan() tells models apart that have traded places", () => {
  const a = fakeModel("a", tensors, { note: "a" });
  const b = fakeModel("b", tensors, { note: "b" });
  expect(planOf(recipe, { base: tensors, a, b }).digest).not.toBe(planOf(recipe, { base: tensors, a: b, b: a }).digest);
});
