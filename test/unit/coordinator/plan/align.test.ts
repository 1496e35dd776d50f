import { expect, test } from "vitest";
import { AmalgamError } from "../../../../shared/errors.js";
import { type FakeTensors, planOf, recipeFor, tensorNamed } from "../../../support/planning.js";

const linear = recipeFor("linear", ["a", "b"], { each: "weight: 1" });
const whole: FakeTensors = { "layers.0.up": ["BF16", [8, 4]], "layers.1.up": ["BF16", [8, 4]], norm: ["BF16", [4]] };

/** What planning complains of, line by line. */
function complaints(a: FakeTensors, b: FakeTensors, recipe = linear): readonly string[] {
  try {
    planOf(recipe, { a, b, base: a });
  } catch (error) {
    if (error instanceof AmalgamError && error.code === "recipe_invalid") return error.message.split("\n");
    throw error;
  }
  throw new Error("Nothing was complained of");
}

test("a tensor that a model lacks is a complaint at the model's place", () => {
  const { norm: _, ...rest } = whole;
  expect(complaints(whole, rest)).toEqual([
    'recipe.yaml:4:14  Cannot merge tensor "norm": "b" does not have it, "a" does',
  ]);
});

test("shapes that differ are a complaint with both, be it that only the number of dimensions does", () => {
  expect(complaints(whole, { ...whole, norm: ["BF16", [5]], "layers.0.up": ["BF16", [32]] })).toEqual([
    'recipe.yaml:4:14  Cannot merge tensor "layers.0.up": shapes differ, "a" has [8, 4] and "b" has [32]',
    'recipe.yaml:4:14  Cannot merge tensor "norm": shapes differ, "a" has [4] and "b" has [5]',
  ]);
});

test("a transposed tensor does not fit, though it has as many elements", () => {
  expect(complaints(whole, { ...whole, "layers.1.up": ["BF16", [4, 8]] })).toEqual([
    'recipe.yaml:4:14  Cannot merge tensor "layers.1.up": shapes differ, "a" has [8, 4] and "b" has [4, 8]',
  ]);
});

test("packed weights are no numbers to merge with", () => {
  expect(complaints(whole, { ...whole, norm: ["I32", [4]] })).toEqual([
    'recipe.yaml:4:14  Cannot merge tensor "norm": it is I32 in "b", which no method computes on, and BF16 in "a"',
  ]);
});

test("of very many complaints about a model the first are told one by one", () => {
  const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`layers.${i}.up`, ["F32", [4]] as const]));
  const lines = complaints(many, {});
  expect(lines).toHaveLength(6);
  expect(lines.at(-1)).toBe('recipe.yaml:4:14  And 995 more tensors of "b" do not fit');
});

test("the base decides which tensors the output has, and in which order", () => {
  const recipe = recipeFor("task_arithmetic", ["a", "b"], { each: "weight: 1", base: "base" });
  const reversed = Object.fromEntries(Object.entries(whole).reverse());
  const plan = planOf(recipe, { base: reversed, a: { ...whole, head: ["BF16", [4]] }, b: whole });
  expect(plan.tensors.map(({ name }) => name)).toEqual(["norm", "layers.1.up", "layers.0.up"]);
  expect(plan.warnings).toEqual(['Left out, since "base" has no such tensors: "head" of "a"']);
});

test("inputs stand in the order of the recipe's models, the base last", () => {
  const recipe = recipeFor("ties", ["a", "b"], { each: "weight: 1", base: "base" });
  const plan = planOf(recipe, { base: whole, a: whole, b: whole });
  expect(plan.models.map(({ name, isBase }) => [name, isBase])).toEqual([
    ["a", false],
    ["b", false],
    ["base", true],
  ]);
  expect(tensorNamed(plan, "norm").inputs.map(({ source }) => plan.sources[source]?.model)).toEqual([0, 1, 2]);
});

test("dtypes that differ are a warning, for arithmetic is in f32 anyway", () => {
  const plan = planOf(linear, { a: whole, b: { ...whole, norm: ["F32", [4]], "layers.0.up": ["F32", [8, 4]] } });
  expect(plan.warnings).toEqual(['Dtypes differ (BF16 in "a", F32 in "b"): "layers.0.up", "norm"']);
  expect(tensorNamed(plan, "norm").inputs.map(({ dtype, bytes }) => [dtype, bytes])).toEqual([
    ["BF16", 8],
    ["F32", 16],
  ]);
});

test("names from a hostile header are quoted, so that they cannot move the cursor", () => {
  const name = "\u001b[2J\u202eevil\nname";
  const [line] = complaints({ [name]: ["F32", [1]] }, {});
  expect(line).toContain('tensor "\\u001b[2J\\u202eevil\\nname"');
  expect(line).not.toMatch(/\p{C}/u);
});
