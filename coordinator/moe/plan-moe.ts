import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { assemblePlan, listSources, type PlanOptions, plannedModel, warningsOnOpening } from "../plan/assemble-plan.js";
import { type OpenModel, openReferences } from "../plan/open-models.js";
import { openedModels, type StageModel } from "../plan/stage-model.js";
import type { Plan, PlannedModel } from "../plan/types.js";
import { licenseWarnings } from "../provenance/licenses/combine.js";
import { Complaints } from "../recipe/complaints.js";
import type { Located, ModelReference } from "../recipe/recipe.js";
import { chooseLayout } from "./choose-layout.js";
import { type MoeConfig, type MoeExpert, moeReferences, usesPrompts } from "./config.js";
import { type DenseShape, denseShape } from "./dense-shape.js";
import { type MakeGate, promptGates, randomGates } from "./gates.js";
import { moeConfigEdits } from "./moe-config-edits.js";
import { PromptEncoder } from "./prompts.js";
import { moeTensors } from "./tensors.js";

/** Opens the base and every expert's model, each once, the base first and with its tokenizer if prompts need it. */
export function openMoeModels(config: MoeConfig): Promise<readonly OpenModel[]> {
  const { file, base, gateMode } = config;
  const references = new Map<string, Located<ModelReference>>();
  for (const reference of moeReferences(config)) {
    if (!references.has(reference.value.text)) references.set(reference.value.text, reference);
  }
  return openReferences(file, references.values(), new Set(usesPrompts(gateMode) ? [base.value.text] : []));
}

/**
 * Names every byte of a mixture of experts made from dense models (Komatsuzaki et al. 2022, "Sparse Upcycling"): the
 * base with its feed-forward layers replaced by those of every expert and a router. Pure, as planMerge().
 */
export function planMoe(config: MoeConfig, models: readonly OpenModel[], options: PlanOptions = {}): Plan {
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
  if (layout === undefined || dense === undefined) throw complaints.error();
  const warnings = [...warningsOnOpening(models), ...notes(config, base)];
  const makeGate = gateMaker(config, models, dense, { complaints, warnings });
  const tensors = moeTensors({ config, layout, base, experts, shared, dense, makeGate, complaints });
  complaints.throwIfAny();

  const numbers = {
    experts: experts.length,
    expertsPerToken: config.expertsPerToken,
    sharedExperts: shared.length,
    intermediate: dense.intermediate,
  };
  const { modelType } = base.architecture;
  const companions = { ...base.companions, configEdits: moeConfigEdits(base.config, modelType, layout, numbers) };
  const described = models.map((model) => describe(model, config));
  warnings.push(...licenseWarnings(described));
  const { seed } = config;
  return assemblePlan({ method: "moe", seed, models: described, sources, tensors, companions, warnings }, options);
}

function gateMaker(
  config: MoeConfig,
  models: readonly OpenModel[],
  { embedding, hidden, dtype }: DenseShape,
  found: { complaints: Complaints; warnings: string[] },
): MakeGate {
  const gateDtype = config.dtype ?? dtype;
  if (!usesPrompts(config.gateMode)) return randomGates(config, hidden, gateDtype);
  const { text } = config.base.value;
  const tokenizer = models.find(({ name }) => name === text)?.tokenizer;
  try {
    return promptGates(embedding, new PromptEncoder(tokenizer, text), gateDtype, found);
  } catch (error) {
    if (error instanceof AmalgamError) found.complaints.fail(config.base.at, error.message);
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
