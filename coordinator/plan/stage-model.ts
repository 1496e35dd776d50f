import type { CheckpointTensor } from "../../shared/checkpoint/checkpoint.js";
import type { Dtype } from "../../shared/checkpoint/dtypes.js";
import { quote } from "../../shared/quote.js";
import type { Architecture } from "../architecture/architecture.js";
import { recogniseArchitecture } from "../architecture/architecture.js";
import type { ResolvedAdapter } from "../lora/resolve.js";
import { resolveAdapter } from "../lora/resolve.js";
import type { Complaints } from "../recipe/complaints.js";
import type { Position } from "../recipe/recipe.js";
import { architecturesOf } from "./architectures.js";
import type { MergedTensor } from "./merged-tensor.js";
import type { OpenModel } from "./open-models.js";
import type { PlannedCompanions, PlannedInput, StoredTensor } from "./types.js";

/** A tensor of a model: stored in files, or computed by an earlier document of the recipe file. */
export type ModelTensor = {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
} & (
  | { readonly input: PlannedInput }
  /** `stage`: the document, by its place in the file. */
  | { readonly merged: MergedTensor; readonly stage: number }
);

/** A model as a merge sees it: an opened checkpoint, or the output of an earlier document. */
export interface StageModel {
  readonly name: string;
  readonly at: Position;
  readonly config: unknown;
  readonly architecture: Architecture;
  /** In file order. */
  readonly names: () => Iterable<string>;
  readonly tensor: (name: string) => ModelTensor | undefined;
  /** What stands beside its weights. */
  readonly companions: PlannedCompanions;
}

/** Where an opened model's files are in the plan's list of sources. */
export interface FirstSources {
  readonly checkpoint: number;
  readonly adapter: number;
}

/** The opened models. A LoRA's factors become updates of the tensors they belong to; what does not fit is complained of. */
export function openedModels(
  models: readonly OpenModel[],
  first: readonly FirstSources[],
  complaints: Complaints,
): readonly StageModel[] {
  const architectures = architecturesOf(models);
  return models.map((model, place) => {
    const [sources, architecture] = [first[place], architectures[place]];
    if (sources === undefined || architecture === undefined) throw new RangeError(`Model ${place} has no files`);
    return openedModel(model, place, sources, architecture, complaints);
  });
}

function openedModel(
  model: OpenModel,
  place: number,
  first: FirstSources,
  architecture: Architecture,
  complaints: Complaints,
): StageModel {
  const { name, at, checkpoint, adapter } = model;
  const resolved = adapter && resolveAdapter(adapter.adapter, checkpoint.tensors);
  for (const problem of resolved?.problems ?? []) {
    complaints.add(at, `Cannot apply the LoRA of ${quote(name)}: ${problem}`);
  }
  return {
    name,
    at,
    config: checkpoint.config,
    architecture,
    names: () => checkpoint.tensors.keys(),
    tensor: (wanted) => {
      const stored = checkpoint.tensors.get(wanted);
      return stored && withAdapter(stored, place, first, resolved);
    },
    companions: { configFrom: place, configEdits: [], tokenizerFrom: place, files: new Map(), withheld: [] },
  };
}

/** A tensor that an adapter replaces is replaced before it is added to. */
function withAdapter(
  own: CheckpointTensor,
  model: number,
  first: FirstSources,
  adapter: ResolvedAdapter | undefined,
): ModelTensor {
  const { name, dtype, shape: ownShape, file, offset, bytes } = own;
  if (adapter === undefined) {
    // Asked for every tensor of every model, so written out.
    return { name, dtype, shape: ownShape, input: { model, source: first.checkpoint + file, offset, dtype, bytes } };
  }
  const replacement = adapter.replaced.get(name);
  const { shape } = replacement ?? own;
  const input = { model, ...(replacement ? stored(replacement, first.adapter) : stored(own, first.checkpoint)) };
  const update = adapter.updates.get(name);
  if (update === undefined) return { name, dtype, shape, input };
  const { a, b, rank, scale, transposed } = update;
  const factors = { a: stored(a, first.adapter), b: stored(b, first.adapter) };
  return { name, dtype, shape, input: { ...input, updates: [{ ...factors, rank, scale, transposed }] } };
}

function stored({ file, offset, dtype, bytes }: CheckpointTensor, firstSource: number): StoredTensor {
  return { source: firstSource + file, offset, dtype, bytes };
}

/** The output of an earlier document, whose tensors are computed as part of whatever reads them. */
export function mergedModel(
  name: string,
  at: Position,
  config: unknown,
  tensors: readonly MergedTensor[],
  companions: PlannedCompanions,
  stage: number,
): StageModel {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return {
    name,
    at,
    config,
    architecture: recogniseArchitecture(config, byName),
    names: () => byName.keys(),
    tensor: (wanted) => {
      const merged = byName.get(wanted);
      return merged && { name: wanted, dtype: merged.dtype, shape: merged.shape, merged, stage };
    },
    companions,
  };
}
