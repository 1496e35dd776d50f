import { expect, test } from "vitest";
import { AmalgamError } from "../../../../shared/errors.js";
import {
  type FakeTensors,
  fakeModel,
  parametersOf,
  planOf,
  recipeFor,
  tensorNamed,
} from "../../../support/planning.js";

const each = "weight: 1";
const linear = recipeFor("linear", ["a", "b"], { each });
const tensors: FakeTensors = { w: ["BF16", [8]], scale: ["F32", [2]], ids: ["I64", [3]], mask: ["BOOL", [5]] };

/** The first line of what planning complains of. */
function complaint(recipe: string, given: FakeTensors = tensors): string {
  try {
    planOf(recipe, { a: given, b: given, c: given, base: given });
  } catch (error) {
    if (error instanceof AmalgamError) return error.message.split("\n")[0] ?? "";
    throw error;
  }
  throw new Error("Nothing was complained of");
}

test.each([
  ["the one that all inputs fit into", "", ["F32", "F32"]],
  ["dtype", "dtype: float16", ["F16", "F16"]],
  ["out_dtype", "out_dtype: float32", ["F32", "F32"]],
  ["out_dtype before dtype", "dtype: float16\nout_dtype: bfloat16", ["BF16", "BF16"]],
])("the output's dtype is %s", (_, rest, expected) => {
  const plan = planOf(`${linear}${rest}\n`, { a: tensors, b: { ...tensors, w: ["F32", [8]] } });
  const dtypes = Object.fromEntries(plan.tensors.map(({ name, dtype }) => [name, dtype]));
  // Whatever is asked for, what is copied stays as it is.
  expect(dtypes).toEqual({ scale: expected[0], w: expected[1], ids: "I64", mask: "BOOL" });
});

test.each([
  ["F16", "F16", "F16"],
  ["F16", "F32", "F32"],
  ["F16", "BF16", "F32"],
  ["F8_E4M3", "BF16", "BF16"],
  ["F8_E4M3", "F8_E5M2", "BF16"],
  ["F64", "F32", "F64"],
] as const)("without a dtype, %s and %s make %s, as in PyTorch", (base, model, expected) => {
  const recipe = recipeFor("task_arithmetic", ["a"], { each, base: "base" });
  const plan = planOf(recipe, { base: { w: [base, [8]] }, a: { w: [model, [8]] } });
  expect(tensorNamed(plan, "w").dtype).toBe(expected);
});

test("tensors that no method computes on are copied from one model, with a warning", () => {
  const plan = planOf(linear, { a: tensors, b: { ...tensors, ids: ["I64", [3]] } });
  const { program, inputs, parameters } = tensorNamed(plan, "ids");
  expect(plan.programs[program]).toMatchObject({ inputs: 1, nodes: [{ op: "input" }] });
  expect(inputs).toHaveLength(1);
  expect(parameters).toEqual([]);
  expect(tensorNamed(plan, "mask").program).toBe(program);
  expect(plan.warnings).toEqual(['Copied from "a" unmerged, since no method computes on their dtype: "ids", "mask"']);
});

test("a tensor that is copied may be missing from the other models", () => {
  const { ids: _, mask: __, ...rest } = tensors;
  expect(planOf(linear, { a: tensors, b: rest }).tensors).toHaveLength(4);
});

test("parameters without effect are accepted with a warning and the reason", () => {
  const recipe = recipeFor("ties", ["a", "b"], { each, base: "base", rest: "parameters: { int8_mask: true }" });
  const plan = planOf(recipe, { a: tensors, b: tensors, base: tensors });
  expect(plan.warnings.at(-1)).toBe(
    'recipe.yaml:6:15  Parameter "int8_mask" has no effect: sign masks live in registers here and take no memory',
  );
});

test("models of different types are warned of", () => {
  const model = (name: string, type: string) => fakeModel(name, tensors, { config: { model_type: type } });
  const warnings = planOf(linear, { a: model("a", "llama"), b: model("b", "mistral") }).warnings;
  expect(warnings.at(-1)).toBe('Model types differ: "a" is "llama", "b" is "mistral"');
  expect(planOf(linear, { a: model("a", "llama"), b: model("b", "llama") }).warnings).toHaveLength(1);
});

const layers: FakeTensors = Object.fromEntries([
  ["embed.weight", ["F32", [4]]],
  ...Array.from({ length: 5 }, (_, i) => [`layers.${i}.mlp.up`, ["F32", [4]]] as const),
  ...Array.from({ length: 5 }, (_, i) => [`layers.${i}.self_attn.q`, ["F32", [4]]] as const),
]);

test("a gradient reaches the program of every layer as a number of its own", () => {
  const recipe = `merge_method: slerp
base_model: base
models: [{ model: base }, { model: a }]
parameters: { t: [0, 0.5, 0.9] }
`;
  const plan = planOf(recipe, { base: layers, a: layers });
  const t = (name: string) => parametersOf(plan, name)["t"];
  expect([0, 1, 2, 3, 4].map((layer) => t(`layers.${layer}.mlp.up`))).toEqual([0, 0.25, 0.5, 0.7, 0.9]);
  expect(t("embed.weight")).toBe(0);
  // Numbers are slots of a program, so all layers share one.
  expect(plan.programs).toHaveLength(1);
});

test("filters give tensors their own parameters, and the model's own come before the recipe's", () => {
  const recipe = `merge_method: linear
models:
  - model: a
    parameters:
      weight:
        - { filter: self_attn, value: [0, 1] }
        - { filter: mlp, value: 0.25 }
  - { model: b }
parameters: { weight: 3 }
`;
  const plan = planOf(recipe, { a: layers, b: layers });
  expect(parametersOf(plan, "layers.1.self_attn.q")).toEqual({ 'weight of "a"': 0.25, 'weight of "b"': 3 });
  expect(parametersOf(plan, "layers.4.self_attn.q")).toEqual({ 'weight of "a"': 1, 'weight of "b"': 3 });
  expect(parametersOf(plan, "layers.4.mlp.up")).toEqual({ 'weight of "a"': 0.25, 'weight of "b"': 3 });
  expect(parametersOf(plan, "embed.weight")).toEqual({ 'weight of "a"': 3, 'weight of "b"': 3 });
});

test("booleans and choices that differ from tensor to tensor make programs of their own", () => {
  const rest = "parameters: { normalize: [{ filter: mlp, value: false }, { value: true }] }";
  const plan = planOf(recipeFor("ties", ["a"], { each, base: "base", rest }), { a: layers, base: layers });
  expect(plan.programs).toHaveLength(2);
  expect(tensorNamed(plan, "layers.0.mlp.up").program).not.toBe(tensorNamed(plan, "embed.weight").program);
});

test.each([
  ["an unknown method", recipeFor("tise", ["a"]), '1:15  Unknown merge method "tise", did you mean "ties"?'],
  ["no base where one is needed", recipeFor("ties", ["a"], { each }), '1:15  Method "ties" needs a "base_model"'],
  [
    "a base that takes no part",
    recipeFor("linear", ["a", "b"], { each, base: "base" }),
    '2:13  Method "linear" does not use a base that is not one of the models: list it under "models" or remove it',
  ],
  [
    "two models for slerp besides the base",
    recipeFor("slerp", ["base", "a", "b"], { base: "base", rest: "parameters: { t: 0.5 }" }),
    '1:15  Method "slerp" merges exactly 1 model besides the base, the recipe lists 2',
  ],
  [
    "none for slerp besides the base",
    recipeFor("slerp", ["base"], { base: "base", rest: "parameters: { t: 0.5 }" }),
    '1:15  Method "slerp" merges exactly 1 model besides the base, the recipe lists 0',
  ],
  [
    "two models for passthrough",
    recipeFor("passthrough", ["a", "b"]),
    '1:15  Method "passthrough" merges exactly 1 model, the recipe lists 2',
  ],
  [
    "weights that cancel",
    `merge_method: linear
models: [{ model: a, parameters: { weight: 1 } }, { model: b, parameters: { weight: -1 } }]`,
    '1:15  Cannot merge tensor "w": the weights sum to 0, so they cannot be normalized: change a weight or set "normalize: false"',
  ],
  [
    "one model's trimming that changes along the layers",
    recipeFor("ties", ["a"], {
      each: "weight: 1, density: [0.1, 0.9]",
      base: "base",
      rest: "parameters: { scope: model }",
    }),
    '1:15  A merge with "scope: model" looks at all tensors at once, but "embed.weight" and "layers.1.mlp.up" have different parameters: give every parameter one value for all tensors',
  ],
])("planMerge() refuses %s", (title, recipe, expected) => {
  expect(complaint(recipe, title.includes("layers") ? layers : tensors)).toBe(`recipe.yaml:${expected}`);
});

test("the seed and the models are in the plan as the recipe has them", () => {
  const plan = planOf(`${linear}seed: 42\n`, { a: tensors, b: tensors });
  expect(plan.seed).toBe(42);
  expect(plan.models[0]).toEqual({
    name: "a",
    directory: "/models/a",
    isBase: false,
    tensors: 4,
    bytes: plan.sources[0]?.bytes,
    dtypes: { BF16: 1, F32: 1, I64: 1, BOOL: 1 },
    parameters: { weight: 1 },
  });
});
