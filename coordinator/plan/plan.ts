import { type Dtype, dtypeBits, isComputable } from "../../shared/checkpoint/dtypes.js";
import { schedule } from "../../shared/expression/passes.js";
import { methods } from "../../shared/methods/index.js";
import type { MergeMethod } from "../../shared/methods/method.js";
import type { ParameterValue } from "../../shared/methods/parameter.js";
import { quote } from "../../shared/quote.js";
import { bindParameters } from "../recipe/bind.js";
import { Complaints } from "../recipe/complaints.js";
import type { Recipe } from "../recipe/recipe.js";
import { didYouMeanOrOneOf } from "../recipe/wording.js";
import { type AlignedTensor, align, countDtypes } from "./align.js";
import { digestPlan } from "./digest.js";
import { layerPositions } from "./layers.js";
import { defaultShardBytes, layOutFiles } from "./layout.js";
import type { OpenModel } from "./open-models.js";
import { ProgramTable, type TensorProgram } from "./programs.js";
import type { Plan, PlannedModel, PlannedSource, PlannedTensor } from "./types.js";

export interface PlanOptions {
  /** An output file is closed before it exceeds this. @default 5 GB */
  readonly shardBytes?: number;
}

/** The method that the recipe names. Asked before the models are opened, so that a typo costs nothing. */
export function methodOf(recipe: Recipe): MergeMethod {
  const { value, at } = recipe.method;
  const method = methods.get(value);
  const complaints = new Complaints(recipe.file);
  if (method === undefined) {
    return complaints.fail(at, `Unknown merge method ${quote(value)}${didYouMeanOrOneOf(value, [...methods.keys()])}`);
  }
  const base = recipe.base?.value;
  const listed = recipe.models.map(({ model }) => model.value);
  if (method.base === "required" && base === undefined) {
    complaints.add(at, `Method "${method.name}" needs a "base_model"`);
  }
  if (method.base === "none" && recipe.base !== undefined && !listed.includes(recipe.base.value)) {
    const remedy = 'list it under "models" or remove it';
    complaints.add(
      recipe.base.at,
      `Method "${method.name}" does not use a base that is not one of the models: ${remedy}`,
    );
  }
  const count = listed.filter((name) => method.base === "none" || name !== base).length;
  const { min, max } = method.models;
  if (count < min || count > max) {
    const wanted = min === max ? `exactly ${min}` : `at least ${min}`;
    const besides = method.base === "required" ? " besides the base" : "";
    complaints.add(
      at,
      `Method "${method.name}" merges ${wanted} model${min === 1 ? "" : "s"}${besides}, the recipe lists ${count}`,
    );
  }
  complaints.throwIfAny();
  return method;
}

/**
 * Names every byte of the output, from the recipe and the headers of its models. Pure: reads no file and no clock.
 * Throws `recipe_invalid` with every complaint that can be found before a byte of weights moves.
 */
export function planMerge(recipe: Recipe, models: readonly OpenModel[], options: PlanOptions = {}): Plan {
  const method = methodOf(recipe);
  const bound = bindParameters(recipe, method);
  const complaints = new Complaints(recipe.file);
  const base = models.findIndex(({ isBase }) => isBase);
  const participants = models.map((_, model) => model);
  const template = Math.max(0, base);
  const { tensors: aligned, warnings } = align(models, template, participants, complaints);

  const names = models.map(({ name }) => name.value);
  const table = new ProgramTable(method, names, base < 0 ? undefined : base, bound, recipe, complaints);
  const layerOf = layerPositions(aligned.map(({ name }) => name));
  const programs = aligned.map(({ name, inputs }) => {
    const isCopied = inputs[0] !== undefined && !isComputable(inputs[0].dtype);
    return isCopied ? table.copy() : table.programFor(name, layerOf(name));
  });
  table.assertOneModel(aligned.map(({ name }, i) => ({ name, program: programs[i] as TensorProgram })));
  complaints.throwIfAny();

  const outputDtype = recipe.outDtype?.value ?? recipe.dtype?.value;
  const own = models[template]?.checkpoint.tensors;
  const shaped = aligned.map(({ name, shape }) => {
    const dtype: Dtype = outputDtypeOf(own?.get(name)?.dtype ?? "F32", outputDtype);
    const elements = shape.reduce((product, dimension) => product * dimension, 1);
    return { name, dtype, shape, elements, bytes: (elements * dtypeBits(dtype)) / 8 };
  });
  const layout = layOutFiles(shaped, options.shardBytes ?? defaultShardBytes);

  const sources = models.flatMap(({ checkpoint, modifiedMs }, model): PlannedSource[] =>
    checkpoint.files.map(({ name, path, bytes, headerSha256 }, file) => {
      return { model, name, path, bytes, headerSha256, modifiedMs: modifiedMs[file] ?? 0 };
    }),
  );
  const firstSource = models.map((_, model) => sources.findIndex((source) => source.model === model));
  const tensors = layout.order.map((i): PlannedTensor => {
    const { name, dtype, shape, elements, bytes } = shaped[i] as (typeof shaped)[number];
    const { file, offset } = layout.places[i] as (typeof layout.places)[number];
    const { program, parameters } = programs[i] as TensorProgram;
    const inputs = inputsOf(aligned[i] as AlignedTensor, firstSource);
    return { name, dtype, shape, elements, bytes, file, offset, program, parameters, inputs };
  });

  const plan = {
    method: method.name,
    seed: recipe.seed,
    models: models.map((model, i) => describeModel(model, recipe, i)),
    sources,
    programs: table.programs,
    tensors,
    files: layout.files,
    warnings: [
      ...models.flatMap(({ checkpoint }) => checkpoint.warnings),
      ...warnings,
      ...architectureWarnings(models),
      ...inertWarnings(recipe, method),
    ],
  };
  return { ...plan, digest: digestPlan(plan) };
}

/** How many elements the tensors of each program have together: what "model" means to a reduction. */
export function modelElements(plan: Pick<Plan, "tensors" | "programs">): readonly number[] {
  const totals = plan.programs.map(() => 0);
  for (const { program, elements } of plan.tensors) totals[program] = (totals[program] ?? 0) + elements;
  return totals;
}

/** Whether a program gathers statistics before it can write, and over what. */
export function statisticsOf(
  plan: Pick<Plan, "programs">,
): readonly { passes: number; modelwide: boolean; rowwise: boolean }[] {
  return plan.programs.map((program) => {
    const { statistics, modelwide, rowwise } = schedule(program);
    return { passes: statistics.length, modelwide, rowwise };
  });
}

/** The recipe's dtype for what is computed; what is copied keeps its own. */
function outputDtypeOf(own: Dtype, wanted: Dtype | undefined): Dtype {
  return isComputable(own) ? (wanted ?? own) : own;
}

function inputsOf({ inputs, models }: AlignedTensor, firstSource: readonly number[]): PlannedTensor["inputs"] {
  return inputs.map(({ file, offset, dtype, bytes }, i) => ({
    source: (firstSource[models[i] ?? 0] ?? 0) + file,
    offset,
    dtype,
    bytes,
  }));
}

function describeModel({ name, checkpoint, isBase }: OpenModel, recipe: Recipe, place: number): PlannedModel {
  const parameters: Record<string, ParameterValue> = {};
  for (const [parameter, { value }] of recipe.models[place]?.parameters ?? []) {
    parameters[parameter] =
      value.kind === "scalar" ? value.value : JSON.stringify(value.kind === "gradient" ? value.values : value.entries);
  }
  const bytes = checkpoint.files.reduce((total, file) => total + file.bytes, 0);
  const { directory, tensors } = checkpoint;
  const dtypes = countDtypes({ checkpoint } as OpenModel);
  return { name: name.value, directory, isBase, tensors: tensors.size, bytes, dtypes, parameters };
}

/** Different architectures can have tensors that fit by accident; their average is rarely a model. */
function architectureWarnings(models: readonly OpenModel[]): readonly string[] {
  const types = models.map(({ checkpoint }) => {
    const config = checkpoint.config;
    return typeof config === "object" && config !== null && "model_type" in config
      ? String(config.model_type)
      : undefined;
  });
  const known = new Set(types.filter((type) => type !== undefined));
  if (known.size < 2) return [];
  const list = types.map((type, i) => `${quote(models[i]?.name.value ?? "")} is ${quote(type ?? "unknown")}`);
  return [`Model types differ: ${list.join(", ")}`];
}

function inertWarnings(recipe: Recipe, method: MergeMethod): readonly string[] {
  const given = new Set([recipe.parameters, ...recipe.models.map((m) => m.parameters)].flatMap((p) => [...p.keys()]));
  return Object.entries(method.inert)
    .filter(([name]) => given.has(name))
    .map(([name, reason]) => `Parameter "${name}" has no effect: ${reason}`);
}
