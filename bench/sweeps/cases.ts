import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { formatHeader } from "../../shared/checkpoint/header.js";
import { vitBase, writeEvaluated } from "../evaluated-models.js";

/** Models and examples that trials are run on. */
export interface TrialModels {
  /** Names a folder. */
  readonly key: string;
  readonly name: string;
  /** With a folder `base`, and those of the experts. */
  readonly folder: string;
  /** Folders below `folder`. */
  readonly experts: readonly string[];
  readonly tasksFile: string;
  /** By task: a safetensors file with `pixel_values` and `labels`. */
  readonly tasks: Readonly<Record<string, string>>;
  readonly trialMemoryBytes: number;
  /** Trials of each sweep. */
  readonly trials: number;
  /** Largest difference of a task's accuracy from that of the other program; 1: accuracies of made models say nothing. */
  readonly tolerance: number;
}

/** What is searched for. */
export interface TrialMethod {
  readonly name: string;
  readonly method: "task_arithmetic" | "ties";
  /** Undefined: the method has none. */
  readonly density?: number | readonly [number, number];
}

export const trialMethods: readonly TrialMethod[] = [
  { name: "task arithmetic, weights", method: "task_arithmetic" },
  { name: "TIES, weights and densities", method: "ties", density: [0.1, 0.9] },
  { name: "TIES, weights", method: "ties", density: 0.5 },
];

// The example is not compiled, so it stays where it is.
const digitsFolder = fileURLToPath(new URL("../../../examples/digits", import.meta.url));

/** Small models that have learnt something, on 2,700 images of 8 × 8 pixels. */
export function digitsModels(): TrialModels {
  const names = ["rotated", "inverted", "mirrored", "sheared", "noisy"];
  return {
    key: "digits",
    name: "digits, ViT of 0.3 M, 5 experts",
    folder: digitsFolder,
    experts: names.map((name) => `experts/${name}`),
    tasksFile: join(digitsFolder, "tasks.yaml"),
    tasks: Object.fromEntries(names.map((name) => [name, join(digitsFolder, "eval", `${name}.safetensors`)])),
    ...{ trialMemoryBytes: 64e6, trials: 16, tolerance: 0.02 },
  };
}

const imagesOfVit = 4;

/** A model of a published size with made weights, on so few images that merging is much of the work. */
export function vitModels(parent: string): TrialModels {
  const folder = join(parent, "vit");
  const experts = ["a", "b", "c"];
  const base = writeEvaluated(join(folder, "base"), vitBase());
  for (const [i, name] of experts.entries()) writeExpert(join(folder, name), base, i + 1);
  const images = writeImages(join(folder, "images.safetensors"), imagesOfVit);
  const tasksFile = join(folder, "tasks.yaml");
  writeFileSync(
    tasksFile,
    `tasks:\n  made: {kind: classification, data: ${images}, input: {pixel_values: pixel_values}, label: labels}\n`,
  );
  return {
    key: "vit",
    name: `ViT-B/16, 87 M, 3 experts, ${imagesOfVit} images`,
    ...{ folder, experts, tasksFile, tasks: { made: images } },
    ...{ trialMemoryBytes: 1.5e9, trials: 5, tolerance: 1 },
  };
}

/** The base with the last three bits of every number changed: by 6 percent at most. */
function writeExpert(directory: string, base: string, seed: number): void {
  if (existsSync(directory)) return;
  cpSync(base, directory, { recursive: true });
  const file = join(directory, "model.safetensors");
  const data = readFileSync(file);
  const start = 8 + Number(data.readBigUInt64LE());
  let state = seed;
  for (let at = start; at < data.length; at += 2) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    data[at] = (data[at] ?? 0) ^ (state >>> 29);
  }
  writeFileSync(file, data);
}

function writeImages(file: string, count: number): string {
  const shape = [count, 3, 224, 224];
  const pixels = Float32Array.from({ length: count * 3 * 224 ** 2 }, (_, i) => Math.sin(i * i));
  const labels = BigInt64Array.from({ length: count }, (_, i) => BigInt(i));
  const header = formatHeader([
    { name: "pixel_values", dtype: "F32", shape },
    { name: "labels", dtype: "I64", shape: [count] },
  ]);
  writeFileSync(file, Buffer.concat([header, new Uint8Array(pixels.buffer), new Uint8Array(labels.buffer)]));
  return file;
}

/** Writes a sweep of random points, and returns its file. */
export function writeSweep(parent: string, models: TrialModels, { method, density }: TrialMethod): string {
  const { folder, experts, tasksFile, trials } = models;
  const weight = "weight: {range: [0, 1.5], start: 1}";
  const densityText = typeof density === "object" ? `{range: [${density.join(", ")}]}` : density;
  const parameters = densityText === undefined ? weight : `${weight}, density: ${densityText}`;
  const text = `recipe:
  merge_method: ${method}
  base_model: ${join(folder, "base")}
  models:
${experts.map((name) => `    - {model: ${join(folder, name)}, parameters: {${parameters}}}`).join("\n")}
  parameters: {normalize: false, lambda: 1}
  dtype: float32
  out_dtype: bfloat16
tasks: ${tasksFile}
objective: mean
budget: {trials: ${trials}}
search: random
`;
  mkdirSync(parent, { recursive: true });
  const file = join(parent, "sweep.yaml");
  writeFileSync(file, text);
  return file;
}
