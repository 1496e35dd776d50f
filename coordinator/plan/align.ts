import { isComputable } from "../../shared/checkpoint/dtypes.js";
import { quote, quoteList } from "../../shared/quote.js";
import { isSameShape } from "../../shared/shape.js";
import type { Complaints } from "../recipe/complaints.js";
import type { VocabularyPlan } from "../tokenizer/types.js";
import { nameIn } from "./aliases.js";
import { type OutlinedTensor, type SliceMember, templateOf } from "./outline.js";
import { quantizedBecause } from "./quantized.js";
import type { ModelTensor, StageModel } from "./stage-model.js";
import { inOutputVocabulary, vocabulariesDiffer } from "./vocabulary-rows.js";

/** One output tensor and the tensors it is made of. */
export interface AlignedTensor {
  readonly outlined: OutlinedTensor;
  readonly shape: readonly number[];
  /** One per member of the slice; one alone where the tensor is copied. */
  readonly inputs: readonly ModelTensor[];
  /** Taken from the template as it is: nothing computes on its dtype, or some model does without it. */
  readonly isCopied: boolean;
}

/** The output's vocabulary, and the models by the numbers it knows them by. */
export interface OutputVocabulary {
  readonly plan: VocabularyPlan;
  readonly models: readonly StageModel[];
}

/** A checkpoint may be wrong in every one of its 100,000 tensors; this many are told one by one. */
const maxTold = 5;

/**
 * Finds, for an outlined tensor, the tensor of each model that takes part. Missing tensors and shapes that differ are
 * complained of, at the model's place in the recipe. One tensor at a time, since a model may have 100,000.
 */
export class Aligner {
  readonly #vocabulary: OutputVocabulary | undefined;
  readonly #complaints: Complaints;
  readonly #told = new Map<string, { count: number; readonly member: SliceMember }>();
  readonly #copied = new Map<string, string[]>();
  /** Tensors whose dtype is not the same in all models, by which they are. */
  readonly #mixed = new Map<string, string[]>();

  constructor(vocabulary: OutputVocabulary | undefined, complaints: Complaints) {
    this.#vocabulary = vocabulary;
    this.#complaints = complaints;
  }

  align(outlined: OutlinedTensor): AlignedTensor | undefined {
    const { slice, inputs: names } = outlined;
    const template = templateOf(slice);
    const templatePlace = slice.members.indexOf(template);
    const found = slice.members.map((member, i) => this.#find(member, names?.[i] ?? outlined.name, template.model));
    const reference = found[templatePlace];
    if (reference === undefined) {
      this.#complain(
        template,
        `Cannot merge tensor ${quote(names?.[templatePlace] ?? outlined.name)}: ${quote(template.model.name)} does not have it`,
      );
      return undefined;
    }
    const copied = (): AlignedTensor => ({ outlined, shape: reference.shape, inputs: [reference], isCopied: true });
    if (outlined.isCopied) return copied();
    const quantized = slice.members.length > 1 ? quantizedBecause(template.model, reference) : undefined;
    if (quantized !== undefined) {
      this.#complain(template, `Cannot merge tensor ${quote(reference.name)}: ${quantized}`);
      return undefined;
    }
    if (!isComputable(reference.dtype)) {
      this.#noteCopy("no method computes on their dtype", template, outlined.name);
      return copied();
    }
    const isMissing = found.some((tensor) => tensor === undefined);
    if (isMissing && template.model.architecture.place(outlined.name).optional) {
      this.#noteCopy("not every model has them", template, outlined.name);
      return copied();
    }
    const inputs: ModelTensor[] = [];
    slice.members.forEach((member, i) => {
      const tensor = found[i];
      const problem = this.#problem(outlined, names?.[i] ?? outlined.name, member, tensor, reference);
      if (problem !== undefined) this.#complain(member, problem);
      else if (tensor !== undefined) inputs.push(tensor);
    });
    if (inputs.some(({ dtype }) => dtype !== reference.dtype)) this.#noteDtypes(outlined, inputs);
    return { outlined, shape: reference.shape, inputs, isCopied: false };
  }

  /** The member's tensor, tied names and the output's vocabulary considered. */
  #find({ model }: SliceMember, name: string, template: StageModel): ModelTensor | undefined {
    const own = locate(model, name, template);
    const vocabulary = this.#vocabulary;
    if (own === undefined || vocabulary === undefined) return own;
    if (template.architecture.place(name).tokens === undefined) return own;
    const place = vocabulary.models.indexOf(model);
    const mapped = inOutputVocabulary(place, vocabulary.plan, (other) => {
      const from = vocabulary.models[other];
      return from && locate(from, name, template);
    });
    if (typeof mapped !== "string") return mapped;
    this.#complaints.add(
      model.at,
      `Cannot bring tensor ${quote(name)} of ${quote(model.name)} into the output's vocabulary: ${mapped}`,
    );
    return own;
  }

  #problem(
    { slice, name: output }: OutlinedTensor,
    name: string,
    member: SliceMember,
    found: ModelTensor | undefined,
    reference: ModelTensor,
  ): string | undefined {
    const quantized = found && quantizedBecause(member.model, found);
    const fits = found !== undefined && isComputable(found.dtype) && isSameShape(found.shape, reference.shape);
    if (fits && quantized === undefined) return undefined;
    const subject = `Cannot merge tensor ${quote(name)}`;
    if (quantized !== undefined && slice.members.length > 1) return `${subject}: ${quantized}`;
    if (fits) return undefined;
    const template = templateOf(slice).model;
    const [own, theirs] = [quote(member.model.name), quote(template.name)];
    if (found === undefined) return `${subject}: ${own} does not have it, ${theirs} does`;
    if (!isComputable(found.dtype)) {
      return `${subject}: it is ${found.dtype} in ${own}, which no method computes on, and ${reference.dtype} in ${theirs}`;
    }
    const isTokens = template.architecture.place(output).tokens !== undefined;
    if (isTokens && this.#vocabulary === undefined && found.shape[0] !== reference.shape[0]) {
      const rows = [reference.shape[0] ?? 0, found.shape[0] ?? 0] as const;
      return `${subject}: ${vocabulariesDiffer([template.name, member.model.name], rows)}`;
    }
    // In one vocabulary they have one height, or there has been a complaint.
    const isAsWide = isSameShape(found.shape.slice(1), reference.shape.slice(1));
    if (isTokens && isAsWide && this.#vocabulary !== undefined) return undefined;
    const [wanted, shape] = [reference.shape.join(", "), found.shape.join(", ")];
    return `${subject}: shapes differ, ${theirs} has [${wanted}] and ${own} has [${shape}]`;
  }

  #complain(member: SliceMember, message: string): void {
    const told = this.#told.get(member.model.name) ?? { count: 0, member };
    this.#told.set(member.model.name, told);
    told.count += 1;
    if (told.count <= maxTold) this.#complaints.add(member.at, message);
  }

  tellTheRest(): void {
    for (const { count, member } of this.#told.values()) {
      if (count <= maxTold) continue;
      this.#complaints.add(member.at, `And ${count - maxTold} more tensors of ${quote(member.model.name)} do not fit`);
    }
  }

  #noteCopy(reason: string, { model }: SliceMember, name: string): void {
    const key = `Copied from ${quote(model.name)} unmerged, since ${reason}`;
    const names = this.#copied.get(key) ?? [];
    this.#copied.set(key, names);
    names.push(name);
  }

  /** No error, since all arithmetic is f32, but worth knowing. */
  #noteDtypes({ name, slice }: OutlinedTensor, inputs: readonly ModelTensor[]): void {
    const of = (place: number): string => quote(slice.members[place]?.model.name ?? "");
    const text = inputs.map(({ dtype }, i) => `${dtype} in ${of(i)}`).join(", ");
    const names = this.#mixed.get(text) ?? [];
    this.#mixed.set(text, names);
    names.push(name);
  }

  warnings(): readonly string[] {
    return [
      ...[...this.#copied].map(([text, names]) => `${text}: ${quoteList(names)}`),
      ...[...this.#mixed].map(([text, names]) => `Dtypes differ (${text}): ${quoteList(names)}`),
    ];
  }
}

/** A model's tensor by the template's name for it, by its own, or by that of a tensor it is tied to. */
function locate(model: StageModel, named: string, template: StageModel): ModelTensor | undefined {
  const own = model.tensor(named);
  if (own !== undefined) return own;
  const name = nameIn(model.architecture, template.architecture, named);
  const alias = model.tensor(name);
  if (alias !== undefined) return { ...alias, name: named };
  for (const tied of model.architecture.ties) {
    if (!tied.includes(name)) continue;
    for (const other of tied) {
      const shared = model.tensor(other);
      if (shared !== undefined) return { ...shared, name: named };
    }
  }
  return undefined;
}

/** Tensors of whole models that the template does not have. */
export function leftOut(outlined: readonly OutlinedTensor[]): readonly string[] {
  const [first] = outlined;
  if (first === undefined || first.slice.form !== "models") return [];
  const template = templateOf(first.slice).model;
  // One object for models of the same names and shapes.
  const others = first.slice.members.filter(({ model }) => model.architecture !== template.architecture);
  if (others.length === 0) return [];
  const used = new Set(outlined.map(({ name }) => name));
  return others.flatMap(({ model }) => {
    const extra = [...model.names()].filter(
      (name) => !used.has(name) && !used.has(nameIn(template.architecture, model.architecture, name)),
    );
    if (extra.length === 0) return [];
    return [`Left out, since ${quote(template.name)} has no such tensors: ${quoteList(extra)} of ${quote(model.name)}`];
  });
}
