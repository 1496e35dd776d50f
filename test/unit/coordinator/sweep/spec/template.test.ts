import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openModels } from "../../../../../coordinator/plan/open-models.js";
import { planMerge } from "../../../../../coordinator/plan/plan.js";
import type { Plan } from "../../../../../coordinator/plan/types.js";
import { parseRecipes } from "../../../../../coordinator/recipe/parse.js";
import { fromUnit, startPoint } from "../../../../../coordinator/sweep/space.js";
import { parseSweep } from "../../../../../coordinator/sweep/spec/read.js";
import { randomTensor, writeCheckpoint } from "../../../../support/checkpoints.js";
import { parametersOf } from "../../../../support/planning.js";
import { repositoryPath } from "../../../../support/repository.js";

const digits = repositoryPath("examples", "digits");

let work = "";
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), "amalgam-sweep-"));
});
afterAll(async () => rm(work, { recursive: true }));

async function planOf(text: string, file: string): Promise<Plan> {
  const recipe = parseRecipes(text, file);
  return planMerge(recipe, await openModels(recipe));
}

const text = `recipe:
  # how it is merged
  merge_method: {choices: [ties, task_arithmetic]} # the method
  base_model: base
  models:
    - model: experts/rotated
      parameters: {weight: {range: [0, 1.5], start: 1}} # turned
    - model: experts/inverted
      parameters: {weight: {range: [0, 1.5], groups: 2}}
  parameters:
    # all of it
    lambda: $strength
  dtype: float32
  out_dtype: bfloat16
parameters: {strength: {range: [0.1, 2], scale: log}}
tasks: tasks.yaml
search: random
budget: {trials: 3}
`;

test("a point as a recipe that reads as its author wrote it", async () => {
  const { template } = await parseSweep(text, join(digits, "sweep.yaml"));
  const point = {
    ...{ merge_method: "ties", strength: 0.75, "rotated weight": 0.1 },
    ...{ "inverted weight layers 0-1": 0.25, "inverted weight layers 2-3": 0.5, "inverted weight other": 1.5 },
  };
  expect(template.render(point)).toBe(`# how it is merged
merge_method: ties # the method
base_model: base
models:
  - model: experts/rotated
    parameters: { weight: 0.1 } # turned
  - model: experts/inverted
    parameters:
      weight:
        - { filter: vit.encoder.layer.0.*, value: 0.25 }
        - { filter: vit.encoder.layer.1.*, value: 0.25 }
        - { filter: vit.encoder.layer.2.*, value: 0.5 }
        - { filter: vit.encoder.layer.3.*, value: 0.5 }
        - { value: 1.5 }
parameters:
  # all of it
  lambda: 0.75
dtype: float32
out_dtype: bfloat16
`);
});

test("values arrive at the tensors that they are for", async () => {
  const { template, space } = await parseSweep(text, join(digits, "sweep.yaml"));
  const point = {
    ...startPoint(space),
    "inverted weight layers 2-3": 0.123,
    "inverted weight other": 0.456,
    strength: 0.7,
  };
  const plan = await planOf(template.render(point), template.file);
  const inverted = 'weight of "experts/inverted"';
  for (const { name } of plan.tensors) {
    const layer = /layer\.(\d)\./.exec(name)?.[1];
    const expected = layer === undefined ? 0.456 : Number(layer) < 2 ? 0.75 : 0.123;
    const parameters = parametersOf(plan, name);
    expect(parameters[inverted], name).toBe(expected);
    expect(parameters['weight of "experts/rotated"'], name).toBe(1);
    expect(parameters["lambda"], name).toBe(0.7);
  }
});

test("a plan has the very numbers of any point", async () => {
  const { template, space } = await parseSweep(text, join(digits, "sweep.yaml"));
  const point = fromUnit(space, [0.9, 0.123456789, 0.987654321, 0.333, 0.1, 0.7]);
  const plan = await planOf(template.render(point), template.file);
  const { "rotated weight": rotated, strength } = point;
  expect(parametersOf(plan, "vit.layernorm.weight")).toMatchObject({
    'weight of "experts/rotated"': rotated,
    lambda: strength,
  });
});

test.each([
  ["near the sweep", join(digits, "out", "best"), "base_model: ../../base", "model: ../../experts/rotated"],
  [
    "beside its folder",
    repositoryPath("examples", "out"),
    "base_model: ../digits/base",
    "model: ../digits/experts/rotated",
  ],
  ["far away", "/elsewhere", `base_model: ${digits}/base`, `model: ${digits}/experts/rotated`],
])("a recipe in a folder %s finds its models", async (_, folder, base, model) => {
  const { template } = await parseSweep(text, join(digits, "sweep.yaml"));
  const moved = template.renderFor({}, folder);
  expect(moved).toContain(base);
  expect(moved).toContain(model);
  const here = await planOf(template.render({}), template.file);
  const there = await planOf(moved, join(folder, "best.yaml"));
  expect(there.tensors.map(({ parameters }) => parameters)).toEqual(here.tensors.map(({ parameters }) => parameters));
});

test("one model by itself, with the recipe's dtypes", async () => {
  const { template } = await parseSweep(text, join(digits, "sweep.yaml"));
  const reference = template.renderReference("experts/rotated");
  expect(reference).toBe(
    "merge_method: passthrough\nmodels:\n  - model: experts/rotated\ndtype: float32\nout_dtype: bfloat16\n",
  );
  const plan = await planOf(reference, template.file);
  expect(plan.models.map(({ name }) => name)).toEqual(["experts/rotated"]);
});

/** An encoder and a decoder of two layers each, with names that hold each other's. */
function encoderDecoder(seed: number) {
  const names = [
    ...["model.shared.weight", "lm_head.weight"],
    ...["encoder", "decoder"].flatMap((part) =>
      [0, 1].flatMap((layer) =>
        ["fc1", "fc1.extra", "self_attn.k_proj"].map((name) => `model.${part}.layers.${layer}.${name}.weight`),
      ),
    ),
  ];
  return Object.fromEntries(names.map((name, i) => [name, randomTensor(100 * seed + i, [4, 4], "F32")]));
}

test.each<[groups: string, groupOf: (name: string) => string]>([
  ["layer", (name) => /(encoder|decoder)\.layers\.(\d)/.exec(name)?.slice(1, 3).join(" layer ") ?? "other"],
  ["1", (name) => (name.includes(".layers.") ? "decoder layers 0-1, encoder layers 0-1" : "other")],
  ["tensor", (name) => name],
  [
    "{mlp: fc1, decoder: decoder}",
    (name) => (name.includes("fc1") ? "mlp" : name.includes("decoder") ? "decoder" : "other"),
  ],
])("groups of an encoder and a decoder by %s hold the tensors they name", async (groups, groupOf) => {
  const config = { model_type: "bart", encoder_layers: 2, decoder_layers: 2 };
  for (const [seed, name] of ["base", "tuned"].entries()) {
    await writeCheckpoint(join(work, name), encoderDecoder(seed), { config });
  }
  const sweep = [
    "recipe: {merge_method: task_arithmetic, base_model: base, models: [",
    `  {model: tuned, parameters: {weight: {range: [0, 1000], groups: ${groups}}}}]}`,
    `tasks: ${join(digits, "tasks.yaml")}`,
    "search: random",
    "budget: {trials: 1}",
  ].join("\n");
  const { template, space } = await parseSweep(sweep, join(work, "sweep.yaml"));
  const numbered = new Map(space.map(({ name, group }, number) => [group, { name, number }]));
  const point = Object.fromEntries([...numbered.values()].map(({ name, number }) => [name, number]));
  const plan = await planOf(template.render(point), template.file);
  const expected = new Set<string>();
  for (const { name } of plan.tensors) {
    expected.add(groupOf(name));
    expect(parametersOf(plan, name)['weight of "tuned"'], name).toBe(numbered.get(groupOf(name))?.number);
  }
  expect(new Set(numbered.keys())).toEqual(expected);
});
