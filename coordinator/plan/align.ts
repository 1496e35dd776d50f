import { type Dtype, isComputable } from "../../shared/checkpoint/dtypes.js";
import type { CheckpointTensor } from "../../shared/checkpoint/open.js";
import { quote, quoteList } from "../../shared/quote.js";
import type { Complaints } from "../recipe/complaints.js";
import type { OpenModel } from "./open-models.js";

/** One output tensor and the tensors it is made of. */
export interface AlignedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** The tensor of each model that takes part; one alone where bytes are copied. */
  readonly inputs: readonly CheckpointTensor[];
  /** Which model each input belongs to. */
  readonly models: readonly number[];
}

/** A checkpoint may be wrong in every one of its 100,000 tensors; this many are told one by one. */
const maxTold = 5;

/**
 * Finds, for every tensor of the template model (the base, else the first), the tensor of the same name in every model
 * that takes part. The result is in the template's file order, so that sources are read from front to back. Missing
 * tensors and shapes that differ are complained of, at the model's place in the recipe.
 */
export function align(
  models: readonly OpenModel[],
  template: number,
  participants: readonly number[],
  complaints: Complaints,
): { readonly tensors: readonly AlignedTensor[]; readonly warnings: readonly string[] } {
  const reference = models[template];
  if (reference === undefined) throw new RangeError(`There is no model ${template}`);
  const warnings: string[] = [];
  const copied: string[] = [];
  const told = new Map<number, number>();
  const complain = (model: number, message: string): void => {
    const count = (told.get(model) ?? 0) + 1;
    told.set(model, count);
    const at = models[model]?.name.at;
    if (at !== undefined && count <= maxTold) complaints.add(at, message);
  };

  const tensors: AlignedTensor[] = [];
  for (const tensor of reference.checkpoint.tensors.values()) {
    if (!isComputable(tensor.dtype)) {
      copied.push(tensor.name);
      tensors.push({ name: tensor.name, shape: tensor.shape, inputs: [tensor], models: [template] });
      continue;
    }
    const inputs: CheckpointTensor[] = [];
    for (const model of participants) {
      const found = models[model]?.checkpoint.tensors.get(tensor.name);
      if (found === undefined) complain(model, missing(models, model, template, tensor.name));
      else {
        const problem = mismatch(models, model, template, found, tensor);
        if (problem === undefined) inputs.push(found);
        else complain(model, problem);
      }
    }
    tensors.push({ name: tensor.name, shape: tensor.shape, inputs, models: participants });
  }
  for (const [model, count] of told) {
    const at = models[model]?.name.at;
    const more = `And ${count - maxTold} more tensors of ${nameOf(models, model)} do not fit`;
    if (at !== undefined && count > maxTold) complaints.add(at, more);
  }

  if (copied.length > 0) {
    warnings.push(
      `Copied from ${nameOf(models, template)} unmerged, since no method computes on their dtype: ${quoteList(copied)}`,
    );
  }
  for (const model of participants) {
    const names = [...(models[model]?.checkpoint.tensors.keys() ?? [])];
    const extra = names.filter((name) => !reference.checkpoint.tensors.has(name));
    if (extra.length > 0) {
      warnings.push(
        `Left out, since ${nameOf(models, template)} has no such tensors: ${quoteList(extra)} of ${nameOf(models, model)}`,
      );
    }
  }
  return { tensors, warnings: [...warnings, ...dtypeWarnings(tensors, models)] };
}

function missing(models: readonly OpenModel[], model: number, template: number, tensor: string): string {
  return `Cannot merge tensor ${quote(tensor)}: ${nameOf(models, model)} does not have it, ${nameOf(models, template)} does`;
}

function mismatch(
  models: readonly OpenModel[],
  model: number,
  template: number,
  found: CheckpointTensor,
  reference: CheckpointTensor,
): string | undefined {
  const subject = `Cannot merge tensor ${quote(reference.name)}`;
  if (!isSameShape(found.shape, reference.shape)) {
    const shapes = `${nameOf(models, template)} has [${reference.shape.join(", ")}] and ${nameOf(models, model)} has [${found.shape.join(", ")}]`;
    return `${subject}: shapes differ, ${shapes}`;
  }
  if (!isComputable(found.dtype)) {
    return `${subject}: it is ${found.dtype} in ${nameOf(models, model)}, which no method computes on, and ${reference.dtype} in ${nameOf(models, template)}`;
  }
  return undefined;
}

function isSameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dimension, i) => dimension === b[i]);
}

/** Tensors whose dtype is not the same in all models: no error, since all arithmetic is f32, but worth knowing. */
function dtypeWarnings(tensors: readonly AlignedTensor[], models: readonly OpenModel[]): readonly string[] {
  const combinations = new Map<string, { names: string[]; text: string }>();
  for (const { name, inputs, models: places } of tensors) {
    if (inputs.every(({ dtype }) => dtype === inputs[0]?.dtype)) continue;
    const text = inputs.map(({ dtype }, i) => `${dtype} in ${nameOf(models, places[i] ?? -1)}`).join(", ");
    const combination = combinations.get(text) ?? { names: [], text };
    combination.names.push(name);
    combinations.set(text, combination);
  }
  return [...combinations.values()].map(({ names, text }) => `Dtypes differ (${text}): ${quoteList(names)}`);
}

function nameOf(models: readonly OpenModel[], model: number): string {
  return quote(models[model]?.name.value ?? String(model));
}

/** How many tensors of each dtype a model has. */
export function countDtypes(model: OpenModel): Partial<Record<Dtype, number>> {
  const counts: Partial<Record<Dtype, number>> = {};
  for (const { dtype } of model.checkpoint.tensors.values()) counts[dtype] = (counts[dtype] ?? 0) + 1;
  return counts;
}
