import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { assemblePlan, listSources, type PlanOptions, plannedModel, warningsOnOpening } from "../plan/assemble-plan.js";
import { type OpenModel, openReferences } from "../plan/open-models.js";
import { openedModels, type StageModel } from "../plan/stage-model.js";
import type { Plan, PlannedModel, PlannedSource } from "../plan/types.js";
import { licenseWarnings } from "../provenance/licenses/combine.js";
import { Complaints } from "../recipe/complaints.js";
import type { Located, ModelReference } from "../recipe/recipe.js";
import { chooseLayout } from "./choose-layout.js";
import { type MoeConfig, type MoeExpert, moeReferences, poolingOf, usesPrompts } from "./config.js";
import { denseShape } from "./dense-shape.js";
import { hiddenGates, type MakeGate, promptGates, randomGates } from "./gates.js";
import { alikeWarnings } from "./hidden/gate-rows.js";
import { type GateShape, type GatesFile, gatesName, pendingGates } from "./hidden/gates-file.js";
import { askHidden, type HiddenQuestions } from "./hidden/questions.js";
import { moeConfigEdits } from "./moe-config-edits.js";
import { PromptEncoder } from "./prompts.js";
import { type MoeParts, moeTensors } from "./tensors.js";

/** Opens the base and every expert's model, each once, the base first and with its tokenizer if prompts need it. */
export function openMoeModels(config: MoeConfig): Promise<readonly OpenModel[]> {
  const { file, base, gateMode } = config;
  const references = new Map<string, Located<ModelReference>>();
  for (const reference of moeReferences(config)) {
    if (!references.has(reference.value.text)) references.set(reference.value.text, reference);
  }
  return openReferences(file, references.values(), new Set(usesPrompts(gateMode) ? [base.value.text] : []));
}

/** A config and its models, looked at as far as can be without gates of hidden states. */
export interface PreparedMoe {
  readonly config: MoeConfig;
  readonly models: readonly OpenModel[];
  readonly base: OpenModel;
  /** What the base has to be run on first, and what comes of it; undefined for other gates. */
  readonly hidden: { readonly questions: HiddenQuestions; readonly shape: GateShape } | undefined;
  readonly parts: Omit<MoeParts, "makeGate">;
  readonly sources: readonly PlannedSource[];
}

/** Gates of hidden states, in a file that agents read. */
export interface PlacedGates {
  readonly file: GatesFile;
  readonly path: string;
  readonly modifiedMs: number;
}

export interface MoePlanOptions extends PlanOptions {
  /** @default zeros in no file, for a plan that is not carried out */
  readonly gates?: PlacedGates | undefined;
}

/**
 * Finds the layout that the models fit, and what the base is to be run on. What is complained of and does not keep
 * planMoe() from finding more waits for it.
 */
export function prepareMoe(config: MoeConfig, models: readonly OpenModel[]): PreparedMoe {
  const complaints = new Complaints(config.file);
  const { sources, first } = listSources(models);
  const opened = openedModels(models, first, complaints);
  const modelOf = ({ value }: Located<ModelReference>): StageModel => {
    const found = opened.find(({ name }) => name === value.text);
    if (found === undefined) throw new RangeError(`Model ${quote(value.text)} was not opened`);
    return found;
  };
  const base = modelOf(config.base);
  const experts = config.experts.map(({ model }) => modelOf(model));
  const shared = config.sharedExperts.map(({ model }) => modelOf(model));
  complaints.throwIfAny();

  const layout = chooseLayout(config, base, [...experts, ...shared], complaints);
  const dense = layout && denseShape(base, layout, config.base.at, complaints);
  const openBase = models[opened.indexOf(base)];
  if (layout === undefined || dense === undefined || openBase === undefined) throw complaints.error();
  const limits = { rows: dense.embedding.rows, states: dense.layers * dense.hidden };
  const questions =
    poolingOf(config.gateMode) === undefined ? undefined : askHidden(config, openBase, limits, complaints);
  const parts = { config, layout, base, experts, shared, dense, complaints };
  const hidden = questions && { questions, shape: gateShape(parts) };
  return { config, models, base: openBase, sources, hidden, parts };
}

function gateShape({ dense, layout, experts, shared }: PreparedMoe["parts"]): GateShape {
  const { layers, hidden } = dense;
  return {
    layers,
    hidden,
    experts: experts.length,
    sharedExperts: layout.sharedGate === undefined ? 0 : shared.length,
  };
}

/**
 * Names every byte of a mixture of experts made from dense models (Komatsuzaki et al. 2022, "Sparse Upcycling"): the
 * base with its feed-forward layers replaced by those of every expert and a router. Pure, as planMerge().
 */
export function planMoe(prepared: PreparedMoe, { gates, ...options }: MoePlanOptions = {}): Plan {
  const { config, models, parts } = prepared;
  const { base, layout, dense, experts, shared, complaints } = parts;
  const warnings = [...warningsOnOpening(models), ...notes(config, base)];
  const router = routerOf(prepared, gates, warnings);
  const tensors = moeTensors({ ...parts, makeGate: router.makeGate });
  complaints.throwIfAny();

  const numbers = {
    experts: experts.length,
    expertsPerToken: config.expertsPerToken,
    sharedExperts: shared.length,
    intermediate: dense.intermediate,
  };
  const { modelType } = base.architecture;
  const configEdits = moeConfigEdits(base.config, modelType, layout, numbers);
  const companions = { ...base.companions, configEdits, files: router.files };
  const described = models.map((model) => describe(model, config));
  warnings.push(...licenseWarnings(described));
  const { seed } = config;
  const { sources } = router;
  return assemblePlan({ method: "moe", seed, models: described, sources, tensors, companions, warnings }, options);
}

/** How routers are made, and the files that they are made from or that the output keeps of them. */
interface Router {
  readonly makeGate: MakeGate;
  readonly sources: readonly PlannedSource[];
  readonly files: ReadonlyMap<string, Uint8Array>;
}

function routerOf(
  { config, models, base, parts, sources }: PreparedMoe,
  gates: PlacedGates | undefined,
  warnings: string[],
): Router {
  const { dense, complaints } = parts;
  const dtype = config.dtype ?? dense.dtype;
  const files = new Map<string, Uint8Array>();
  if (poolingOf(config.gateMode) !== undefined) {
    const shape = gateShape(parts);
    const { file, path, modifiedMs } = gates ?? { file: pendingGates(shape), path: "", modifiedMs: 0 };
    const { content, headerSha256, experts } = file;
    if (gates !== undefined) warnings.push(...alikeWarnings(experts, shape.experts, shape.hidden));
    const model = models.indexOf(base);
    const own = { model, name: gatesName, path, bytes: content.length, headerSha256, modifiedMs, isComputed: true };
    const makeGate = hiddenGates(file, config, { model, source: sources.length }, dtype);
    return { makeGate, sources: [...sources, own], files: files.set(gatesName, content) };
  }
  if (!usesPrompts(config.gateMode)) return { makeGate: randomGates(config, dense.hidden, dtype), sources, files };
  try {
    const encoder = new PromptEncoder(base.tokenizer, base.name);
    return { makeGate: promptGates(dense.embedding, encoder, dtype, { complaints, warnings }), sources, files };
  } catch (error) {
    if (error instanceof AmalgamError) complaints.fail(config.base.at, error.message);
    throw error;
  }
}

/** What the author should know before the merge. */
function notes({ experts, sharedExperts, gateMode }: MoeConfig, { config, name, architecture }: StageModel): string[] {
  const count = experts.length;
  const hasCode = typeof config === "object" && config !== null && "auto_map" in config;
  const isPrompted = ({ positivePrompts: yes, negativePrompts: no }: MoeExpert): boolean => yes.length + no.length > 0;
  const ignoresPrompts = !usesPrompts(gateMode) && [...experts, ...sharedExperts].some(isPrompted);
  return [
    ...(architecture.note === undefined ? [] : [architecture.note]),
    ...((count & (count - 1)) === 0
      ? []
      : [`There are ${count} experts, not a power of two: llama.cpp may refuse them`]),
    ...(ignoresPrompts ? [`Prompts have no effect with gate mode ${quote(gateMode)}`] : []),
    ...(hasCode ? [`Model ${quote(name)} brings code of its own ("auto_map"): check the output's config.json`] : []),
  ];
}

function describe(model: OpenModel, { base, experts, sharedExperts }: MoeConfig): PlannedModel {
  const rolesIn = (list: readonly MoeExpert[]): string =>
    list.flatMap(({ model: { value } }, i) => (value.text === model.name ? [i] : [])).join(", ");
  const [expert, shared] = [rolesIn(experts), rolesIn(sharedExperts)];
  return plannedModel(model, model.name === base.value.text, {
    ...(expert === "" ? {} : { expert }),
    ...(shared === "" ? {} : { "shared expert": shared }),
  });
}
