import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type BenchModel, makeTinyModel } from "./checkpoints.js";

/** One merge, as a recipe that mergekit reads as well. */
export interface BenchRecipe {
  readonly method: string;
  readonly file: string;
  /** The models that it reads, the base among them where it has one. */
  readonly models: readonly BenchModel[];
}

interface Shape {
  readonly experts: number;
  readonly base: boolean;
  /** Of each expert. */
  readonly parameters: Readonly<Record<string, number>>;
  readonly merge?: Readonly<Record<string, number>>;
}

const weight = 0.3;

const shapes = {
  linear: { experts: 3, base: false, parameters: { weight } },
  slerp: { experts: 1, base: true, parameters: {}, merge: { t: 0.4 } },
  task_arithmetic: { experts: 3, base: true, parameters: { weight } },
  ties: { experts: 3, base: true, parameters: { weight, density: 0.5 } },
  dare_linear: { experts: 3, base: true, parameters: { weight, density: 0.5 } },
  dare_ties: { experts: 3, base: true, parameters: { weight, density: 0.5 } },
  della: { experts: 3, base: true, parameters: { weight, density: 0.5, epsilon: 0.2 } },
  breadcrumbs: { experts: 3, base: true, parameters: { weight, density: 0.5, gamma: 0.01 } },
  model_stock: { experts: 3, base: true, parameters: {} },
  passthrough: { experts: 1, base: false, parameters: {} },
} as const satisfies Record<string, Shape>;

export type BenchMethod = keyof typeof shapes;

export const benchMethods = Object.keys(shapes) as readonly BenchMethod[];

/** Writes the recipe of a method over a base and three experts. */
export function writeRecipe(folder: string, method: BenchMethod, models: readonly BenchModel[]): BenchRecipe {
  const { experts, base, parameters, merge = {} }: Shape = shapes[method];
  const [baseModel, ...others] = models;
  const chosen = others.slice(0, experts);
  if (baseModel === undefined || chosen.length < experts) throw new RangeError(`"${method}" needs ${experts} experts`);
  const entries = (values: Readonly<Record<string, number>>, indent: string): readonly string[] => {
    const lines = Object.entries(values).map(([name, value]) => `${indent}  ${name}: ${value}`);
    return lines.length === 0 ? [] : [`${indent}parameters:`, ...lines];
  };
  const lines = [
    `merge_method: ${method}`,
    ...(base ? [`base_model: ${baseModel.directory}`] : []),
    "models:",
    // mergekit wants the base of a slerp among the models.
    ...(method === "slerp" ? [`  - model: ${baseModel.directory}`] : []),
    ...chosen.flatMap(({ directory }) => [`  - model: ${directory}`, ...entries(parameters, "    ")]),
    ...entries(merge, ""),
    "dtype: bfloat16",
  ];
  const file = join(folder, `${method}.yaml`);
  writeFileSync(file, `${lines.join("\n")}\n`);
  return { method, file, models: base ? [baseModel, ...chosen] : chosen };
}

/** A linear merge of two models of so many tiny tensors: all that it costs is what tensors cost besides their bytes. */
export function writeTinyMerge(folder: string, tensors: number): string {
  mkdirSync(folder, { recursive: true });
  const models = ["a", "b"].map((name) => join(folder, name));
  for (const model of models) makeTinyModel(model, tensors);
  const entries = models.map((model) => `  - model: ${model}\n    parameters:\n      weight: 0.5\n`);
  const file = join(folder, "tiny.yaml");
  writeFileSync(file, `merge_method: linear\nmodels:\n${entries.join("")}`);
  return file;
}
