import { createHash } from "node:crypto";
import type { OpenModel } from "../../coordinator/plan/open-models.js";
import { type PlanOptions, planMerge } from "../../coordinator/plan/plan.js";
import { referencesOf } from "../../coordinator/plan/references.js";
import type { Plan, PlannedTensor } from "../../coordinator/plan/types.js";
import { parseRecipes } from "../../coordinator/recipe/parse.js";
import type { CheckpointTensor } from "../../shared/checkpoint/checkpoint.js";
import type { Dtype } from "../../shared/checkpoint/dtypes.js";
import { formatHeader } from "../../shared/checkpoint/header.js";
import { tensorBytes } from "../../shared/checkpoint/tensor-bytes.js";

/** A model's tensors by name, in file order. */
export type FakeTensors = Readonly<Record<string, readonly [dtype: Dtype, shape: readonly number[]]>>;

export interface FakeModelOptions {
  /** @default "/models" */
  readonly folder?: string;
  /** @default 0 */
  readonly modifiedMs?: number;
  /** Becomes `config.json`. @default none */
  readonly config?: unknown;
  /** Text in the file's metadata, which changes its header and nothing else. */
  readonly note?: string;
}

/** A model of one file whose header was read. There is no file: plans are made from headers alone. */
export function fakeModel(name: string, tensors: FakeTensors, options: FakeModelOptions = {}): OpenModel {
  const { folder = "/models", modifiedMs = 0, config, note } = options;
  const entries = Object.entries(tensors).map(([tensor, [dtype, shape]]) => ({ name: tensor, dtype, shape }));
  const metadata = new Map(note === undefined ? [] : [["note", note]]);
  const header = formatHeader(entries, metadata);
  const found = new Map<string, CheckpointTensor>();
  let offset = header.length;
  for (const { name: tensor, dtype, shape } of entries) {
    const bytes = tensorBytes(dtype, shape) ?? Number.NaN;
    found.set(tensor, { name: tensor, dtype, shape, file: 0, offset, bytes });
    offset += bytes;
  }
  const directory = `${folder}/${name}`;
  const file = {
    name: "model.safetensors",
    path: `${directory}/model.safetensors`,
    bytes: offset,
    headerSha256: createHash("sha256").update(header).digest("hex"),
    dataOffset: header.length,
    metadata,
  };
  return {
    name,
    at: { line: 1, column: 1 },
    checkpoint: {
      directory,
      root: directory,
      files: [file],
      tensors: found,
      config,
      configText: undefined,
      warnings: [],
    },
    modifiedMs: [modifiedMs],
  };
}

/** The plan of a recipe whose models are these, by name. `options` go to every model. */
export function planOf(
  recipeText: string,
  models: Readonly<Record<string, FakeTensors | OpenModel>>,
  options: PlanOptions & FakeModelOptions = {},
): Plan {
  const recipes = parseRecipes(recipeText, "recipe.yaml");
  const references = new Map(
    recipes.stages
      .flatMap(referencesOf)
      .filter(({ value }) => value.stage === undefined)
      .map((reference) => [reference.value.text, reference]),
  );
  const opened = [...references.values()].map(({ value: { text }, at }): OpenModel => {
    const given = models[text] ?? {};
    const model = isOpenModel(given) ? given : fakeModel(text, given, options);
    return { ...model, name: text, at };
  });
  return planMerge(recipes, opened, options);
}

function isOpenModel(given: FakeTensors | OpenModel): given is OpenModel {
  return "checkpoint" in given;
}

/** The planned tensor of this name. */
export function tensorNamed(plan: Plan, name: string): PlannedTensor {
  const found = plan.tensors.find((tensor) => tensor.name === name);
  if (found === undefined) throw new RangeError(`The plan has no tensor "${name}"`);
  return found;
}

/** A tensor's parameters by what they are: `{ 'weight of "a"': 1 }`. */
export function parametersOf(plan: Plan, name: string): Readonly<Record<string, number>> {
  const { program, parameters } = tensorNamed(plan, name);
  const labels = plan.programs[program]?.parameters ?? [];
  return Object.fromEntries(labels.map((label, i) => [label, parameters[i] ?? Number.NaN]));
}

/** A recipe that merges `models` with the same parameters for each. */
export function recipeFor(
  method: string,
  models: readonly string[],
  options: { readonly each?: string; readonly base?: string; readonly rest?: string } = {},
): string {
  const { each, base, rest } = options;
  const lines = models.map(
    (model) => `  - { model: ${model}${each === undefined ? "" : `, parameters: { ${each} }`} }`,
  );
  return [
    `merge_method: ${method}`,
    ...(base === undefined ? [] : [`base_model: ${base}`]),
    "models:",
    ...lines,
    ...(rest === undefined ? [] : [rest]),
    "",
  ].join("\n");
}
