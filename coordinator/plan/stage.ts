import { type Dtype, isComputable } from "../../shared/checkpoint/dtypes.js";
import { methods } from "../../shared/methods/index.js";
import type { MergeMethod } from "../../shared/methods/method.js";
import { quote } from "../../shared/quote.js";
import type { ConfigEdit } from "../architecture/config-edits.js";
import { sliceConfig } from "../architecture/slice-config.js";
import { untiedEdits } from "../architecture/untied-edits.js";
import { vocabularyEdits } from "../architecture/vocabulary-edits.js";
import { type BoundRecipe, bindParameters } from "../recipe/bind.js";
import type { Complaints } from "../recipe/complaints.js";
import type { Recipe, RecipeParameters } from "../recipe/recipe.js";
import { type AlignedTensor, Aligner, leftOut, type OutputVocabulary } from "./align.js";
import { joinsUnasked, methodOf } from "./check-method.js";
import { type Composer, isComposable, type Operand, streamsOf } from "./compose.js";
import type { MergedTensor } from "./merged-tensor.js";
import { type OutlinedTensor, outline, type SliceMember, type SliceModels, templateOf } from "./outline.js";
import { copyProgram, MethodPrograms, OneModel, type Participants, type TensorProgram } from "./programs.js";
import { promote } from "./promote.js";
import { type PlacedSlice, slicesOf } from "./references.js";
import type { StageModel } from "./stage-model.js";
import { MustBeStored } from "./stored-stages.js";
import type { RandomStream } from "./types.js";

/** What one document of a recipe file makes. */
export interface Stage {
  readonly recipe: Recipe;
  readonly method: MergeMethod;
  /** In the order of the output. */
  readonly tensors: readonly MergedTensor[];
  /** The model whose config the output's is made from. */
  readonly template: StageModel;
  readonly configEdits: readonly ConfigEdit[];
  readonly warnings: readonly string[];
}

/**
 * Plans one document: which tensors its output has, and what each is computed from. `modelOf` finds a model by the text
 * of its reference. Complaints are collected; a stage with complaints must not be used.
 */
export function planStage(
  recipe: Recipe,
  modelOf: (text: string) => StageModel | undefined,
  vocabulary: OutputVocabulary | undefined,
  composer: Composer,
  complaints: Complaints,
): Stage | undefined {
  const method = methodOf(recipe);
  const bound = bindParameters(recipe, method, knownParameters);
  const slices = slicesOf(recipe).map((slice) => withModels(slice, method, modelOf));
  const [first] = slices;
  if (first === undefined || slices.some(({ members }) => members.length === 0)) return undefined;

  const plan = outline(recipe, slices, complaints);
  if (complaints.any) return undefined;
  const aligner = new Aligner(vocabulary, complaints);
  const merged = new StageTensors(recipe, method, bound, composer, complaints).merge(plan.tensors, aligner);
  aligner.tellTheRest();
  if (complaints.any) return undefined;
  const template = templateOf(first).model;
  const sliced = sliceConfig(template.config, template.architecture, plan.layers);
  const tied = new Set(template.architecture.ties.flat());
  const names = new Set(merged.map(({ name }) => name).filter((name) => tied.has(name)));
  const edits = [
    ...sliced.edits,
    ...(ownsMoreThan(template, names)
      ? untiedEdits(template.config, template.architecture, (name) => names.has(name))
      : []),
    ...(vocabulary === undefined ? [] : vocabularyEdits(template.config, vocabulary.plan.rows)),
  ];
  const warnings = [
    ...plan.warnings,
    ...aligner.warnings(),
    ...leftOut(plan.tensors),
    ...sliced.warnings,
    ...(asksForLayers(recipe) ? architectureNotes(slices) : []),
    ...differentTypes(slices),
    ...bound.warnings,
  ];
  return { recipe, method, tensors: merged, template, configEdits: edits, warnings };
}

/** Whether the output has tensors outside its layers that the template does not have: a head that was tied. */
function ownsMoreThan({ tensor, architecture }: StageModel, names: ReadonlySet<string>): boolean {
  return architecture.ties.flat().some((name) => names.has(name) && tensor(name) === undefined);
}

function withModels(
  slice: PlacedSlice,
  method: MergeMethod,
  modelOf: (text: string) => StageModel | undefined,
): SliceModels {
  const { definition, base, form } = slice;
  const members: SliceMember[] = [];
  for (const { model, layers } of definition.sources) {
    const found = modelOf(model.value.text);
    if (found !== undefined) members.push({ model: found, at: model.at, firstLayer: layers?.value[0] ?? 0, layers });
  }
  const listed = definition.sources.findIndex(({ model }) => model.value.text === base?.value.text);
  const found = base && modelOf(base.value.text);
  const joins = form === "models" && (method.base !== "none" || joinsUnasked(method));
  if (listed >= 0 || base === undefined || found === undefined || !joins) {
    return { ...slice, members, baseMember: listed < 0 ? undefined : listed };
  }
  members.push({ model: found, at: base.at, firstLayer: 0, layers: undefined });
  return { ...slice, members, baseMember: members.length - 1 };
}

/** Gives every aligned tensor its program. */
class StageTensors {
  readonly #recipe: Recipe;
  readonly #method: MergeMethod;
  readonly #bound: BoundRecipe;
  readonly #composer: Composer;
  readonly #complaints: Complaints;
  readonly #participants = new Map<SliceModels, Participants>();

  constructor(recipe: Recipe, method: MergeMethod, bound: BoundRecipe, composer: Composer, complaints: Complaints) {
    this.#recipe = recipe;
    this.#method = method;
    this.#bound = bound;
    this.#composer = composer;
    this.#complaints = complaints;
  }

  merge(outlined: readonly OutlinedTensor[], aligner: Aligner): readonly MergedTensor[] {
    const programs = new MethodPrograms(this.#method, this.#recipe.method.at, this.#complaints);
    const oneModel = new OneModel();
    const merged: MergedTensor[] = [];
    for (const tensor of outlined) {
      const aligned = aligner.align(tensor);
      if (aligned === undefined) continue;
      const { name, slice, inputs, layer } = tensor;
      const chosen = aligned.isCopied ? copied : programs.programFor(this.#participantsOf(slice), name, inputs, layer);
      oneModel.add(name, chosen);
      // With something missing there is nothing to merge, and there has been a complaint.
      if (aligned.isCopied || aligned.inputs.length === slice.members.length) {
        merged.push(this.#mergedTensor(aligned, chosen));
      }
    }
    oneModel.check(this.#recipe.method.at, this.#complaints);
    return merged;
  }

  #mergedTensor(aligned: AlignedTensor, outer: Pick<MergedTensor, "program" | "parameters">): MergedTensor {
    const { outlined, shape, inputs } = aligned;
    const { name } = outlined;
    const dtype = this.#dtypeOf(aligned);
    const stored = inputs.map((tensor) => ("input" in tensor ? tensor.input : undefined));
    if (stored.every((input) => input !== undefined)) {
      return { name, dtype, shape, ...outer, inputs: stored, randomStreams: this.#streams(outer, name) };
    }
    for (const tensor of inputs) {
      if ("merged" in tensor && !isComposable(tensor.merged.program)) {
        throw new MustBeStored(tensor.stage, '"scope: model" looks at all of its tensors at once');
      }
    }
    const streams = this.#streams(outer, name) ?? [];
    return { name, dtype, shape, ...this.#composer.compose(outer, inputs as readonly Operand[], streams) };
  }

  /** Where a tensor's random numbers come from, said in full so that a later document draws the same ones. */
  #streams({ program }: Pick<MergedTensor, "program">, tensor: string): readonly RandomStream[] | undefined {
    const count = streamsOf(program);
    const { seed } = this.#recipe;
    return count === 0 ? undefined : Array.from({ length: count }, (_, stream) => ({ seed, tensor, stream }));
  }

  /** The recipe's dtype for what is computed, or the one that all inputs fit into; what is copied keeps its own. */
  #dtypeOf({ inputs }: AlignedTensor): Dtype {
    const own = inputs[0]?.dtype ?? "F32";
    const wanted = this.#recipe.outDtype?.value ?? this.#recipe.dtype?.value;
    return isComputable(own) ? (wanted ?? promote(inputs.map(({ dtype }) => dtype)) ?? own) : own;
  }

  #participantsOf(slice: SliceModels): Participants {
    let participants = this.#participants.get(slice);
    if (participants === undefined) {
      const bound = this.#bound.modules[slice.module]?.slices[slice.slice];
      if (bound === undefined) throw new RangeError(`Slice ${slice.slice} has no parameters`);
      const { perSource, base, merge } = bound;
      participants = {
        names: slice.members.map(({ model }) => model.name),
        base: this.#method.base === "none" ? undefined : slice.baseMember,
        perModel: slice.members.map((_, i) => perSource[i] ?? base),
        merge,
      };
      this.#participants.set(slice, participants);
    }
    return participants;
  }
}

const copied: TensorProgram = { program: copyProgram, parameters: [] };

/** Every parameter of every method. */
const knownParameters: ReadonlySet<string> = new Set(
  [...methods.values()].flatMap(({ perModel, merge, inert }) => Object.keys({ ...perModel, ...merge, ...inert })),
);

/** Whether it matters to a recipe which tensors are whose layers, or which rows are tokens. */
function asksForLayers(recipe: Recipe): boolean {
  const hasSlices = recipe.modules.some(({ form, name }) => form === "slices" || name !== undefined);
  return hasSlices || recipe.tokenizer !== undefined || parameterLevels(recipe).some(hasGradient);
}

function hasGradient(parameters: RecipeParameters): boolean {
  return [...parameters.values()].some(({ value }) => {
    return (
      value.kind === "gradient" ||
      (value.kind === "filters" && value.entries.some((e) => e.setting.kind === "gradient"))
    );
  });
}

/** Every mapping of parameters in a recipe. */
function parameterLevels(recipe: Recipe): readonly RecipeParameters[] {
  return [
    recipe.parameters,
    ...recipe.modules.map(({ parameters }) => parameters),
    ...slicesOf(recipe).flatMap(({ definition }) => [
      definition.parameters,
      ...definition.sources.map(({ parameters }) => parameters),
    ]),
  ];
}

/** What was only inferred of the models' structure. */
function architectureNotes(slices: readonly SliceModels[]): readonly string[] {
  const notes = modelsOf(slices).map(({ architecture }) => architecture.note);
  return [...new Set(notes.filter((note) => note !== undefined))];
}

function modelsOf(slices: readonly SliceModels[]): readonly StageModel[] {
  return [...new Set(slices.flatMap(({ members }) => members.map(({ model }) => model)))];
}

/** Different architectures can have tensors that fit by accident; their average is rarely a model. */
function differentTypes(slices: readonly SliceModels[]): readonly string[] {
  const models = modelsOf(slices);
  const types = new Map([...models].map(({ name, architecture }) => [name, architecture.modelType]));
  const known = new Set([...types.values()].filter((type) => type !== "unknown"));
  const list = [...types].map(([name, type]) => `${quote(name)} is ${quote(type)}`);
  return known.size > 1 ? [`Model types differ: ${list.join(", ")}`] : [];
}
