import { type Dtype, dtypeBits } from "../../shared/checkpoint/dtypes.js";
import type { Program } from "../../shared/expression/program.js";
import { elementsOf } from "../../shared/shape.js";
import { digestPlan } from "./digest.js";
import { defaultShardBytes, layOutFiles } from "./layout.js";
import type { MergedTensor } from "./merged-tensor.js";
import { Numbering } from "./numbering.js";
import type { OpenModel } from "./open-models.js";
import type { FirstSources } from "./stage-model.js";
import type { Plan, PlannedModel, PlannedSource, PlannedTensor, RandomStream } from "./types.js";

export interface PlanOptions {
  /** An output file is closed before it exceeds this. @default 5 GB */
  readonly shardBytes?: number;
}

/** A plan before anyone has said where its bytes go. */
export interface PlannedOutput
  extends Pick<Plan, "method" | "seed" | "models" | "sources" | "companions" | "warnings"> {
  /** In the order of the output. */
  readonly tensors: readonly MergedTensor[];
}

/** Gives every tensor its place in the output's files, and the whole its digest. */
export function assemblePlan(output: PlannedOutput, { shardBytes = defaultShardBytes }: PlanOptions): Plan {
  const { method, seed, models, sources, companions, warnings } = output;
  const shaped = output.tensors.map(({ name, dtype, shape }) => {
    const elements = elementsOf(shape);
    return { name, dtype, shape, elements, bytes: (elements * dtypeBits(dtype)) / 8 };
  });
  const layout = layOutFiles(shaped, shardBytes);
  const programs = new Numbering<Program>();
  const tensors = layout.order.map((i): PlannedTensor => {
    const { name, dtype, shape, elements, bytes } = shaped[i] as (typeof shaped)[number];
    const { file, offset } = layout.places[i] as (typeof layout.places)[number];
    const merged = output.tensors[i] as MergedTensor;
    const { parameters, inputs, randomStreams } = merged;
    const program = programs.of(merged.program);
    const planned = { name, dtype, shape, elements, bytes, file, offset, program, parameters, inputs };
    return isUsual(randomStreams, seed, name) ? planned : { ...planned, randomStreams };
  });
  const { files } = layout;
  const plan = { method, seed, models, sources, programs: programs.list, tensors, files, companions, warnings };
  return { ...plan, digest: digestPlan(plan) };
}

/** Every file of every model, a LoRA's after those of the model it belongs to. */
export function listSources(models: readonly OpenModel[]): { sources: PlannedSource[]; first: FirstSources[] } {
  const sources: PlannedSource[] = [];
  const add = (model: number, files: OpenModel["checkpoint"]["files"], modifiedMs: readonly number[]): number => {
    const place = sources.length;
    files.forEach(({ name, path, bytes, headerSha256 }, i) => {
      sources.push({ model, name, path, bytes, headerSha256, modifiedMs: modifiedMs[i] ?? 0 });
    });
    return place;
  };
  const first = models.map(({ checkpoint, modifiedMs, adapter }, model) => ({
    checkpoint: add(model, checkpoint.files, modifiedMs),
    adapter: adapter === undefined ? 0 : add(model, adapter.adapter.checkpoint.files, adapter.modifiedMs),
  }));
  return { sources, first };
}

/** What the plan says of a model. */
export function plannedModel(
  { name, checkpoint, adapter, cards }: OpenModel,
  isBase: boolean,
  parameters: PlannedModel["parameters"],
): PlannedModel {
  const { directory, tensors, files } = checkpoint;
  const bytes = files.reduce((total, file) => total + file.bytes, 0);
  const dtypes: Partial<Record<Dtype, number>> = {};
  for (const { dtype } of tensors.values()) dtypes[dtype] = (dtypes[dtype] ?? 0) + 1;
  const adapterDirectory = adapter?.adapter.directory;
  return { name, directory, adapterDirectory, cards, isBase, tensors: tensors.size, bytes, dtypes, parameters };
}

/** What opening the models found that is no error. */
export function warningsOnOpening(models: readonly OpenModel[]): readonly string[] {
  return models.flatMap(({ checkpoint, adapter }) => [
    ...checkpoint.warnings,
    ...(adapter?.adapter.checkpoint.warnings ?? []),
  ]);
}

/** Whether a tensor's random numbers follow from the plan's seed and its own name, as they do unless said otherwise. */
function isUsual(streams: readonly RandomStream[] | undefined, seed: number, name: string): streams is undefined {
  const usual = streams?.every((stream, i) => stream.seed === seed && stream.tensor === name && stream.stream === i);
  return usual !== false;
}
