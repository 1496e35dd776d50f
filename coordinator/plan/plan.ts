import { schedule } from "../../shared/expression/passes.js";
import type { ParameterValue } from "../../shared/methods/parameter.js";
import { quote } from "../../shared/quote.js";
import { editedConfig } from "../architecture/edited-config.js";
import { licenseWarnings } from "../provenance/licenses/combine.js";
import { Complaints } from "../recipe/complaints.js";
import type { Recipe, RecipeFile } from "../recipe/recipe.js";
import { assemblePlan, listSources, type PlanOptions, plannedModel, warningsOnOpening } from "./assemble-plan.js";
import { planCompanions } from "./companion-plan.js";
import { Composer } from "./compose.js";
import type { OpenModel } from "./open-models.js";
import { referencesOf, slicesOf } from "./references.js";
import { planStage, type Stage } from "./stage.js";
import { mergedModel, openedModels, type StageModel } from "./stage-model.js";
import type { Plan, PlannedModel } from "./types.js";

export type { PlanOptions } from "./assemble-plan.js";

/**
 * Names every byte of the output, from the recipe and the headers of its models. Pure: reads no file and no clock.
 * Throws `recipe_invalid` with every complaint that can be found before a byte of weights moves, and `MustBeStored`
 * where one document's output has to be a checkpoint before the rest can be planned.
 */
export function planMerge(file: RecipeFile, models: readonly OpenModel[], options: PlanOptions = {}): Plan {
  const complaints = new Complaints(file.file);
  const { sources, first } = listSources(models);
  const opened = openedModels(models, first, complaints);
  complaints.throwIfAny();
  const { stages, companions, warnings } = planStages(file, models, opened, complaints);
  complaints.throwIfAny();
  const last = stages.at(-1);
  if (last === undefined) throw new RangeError("A recipe has at least one document");

  const described = models.map((model) => describeModel(model, file.stages));
  const merged = {
    method: last.method.name,
    seed: last.recipe.seed,
    models: described,
    sources,
    tensors: last.tensors,
    companions,
    warnings: [...warnings, ...licenseWarnings(described)],
  };
  return assemblePlan(merged, options);
}

/** Plans the documents one after the other; what an earlier one makes is a model to the later ones. */
function planStages(
  file: RecipeFile,
  models: readonly OpenModel[],
  opened: readonly StageModel[],
  complaints: Complaints,
): { stages: readonly Stage[]; companions: Plan["companions"]; warnings: readonly string[] } {
  const byText = new Map(opened.map((model) => [model.name, model]));
  const composer = new Composer();
  const stages: Stage[] = [];
  const warnings = [...warningsOnOpening(models), ...revisionWarnings(file.stages)];
  let companions: Plan["companions"] | undefined;
  for (const [place, recipe] of file.stages.entries()) {
    const described = planCompanions(recipe, models, (text) => byText.get(text), complaints);
    complaints.throwIfAny();
    const stage = planStage(recipe, (text) => byText.get(text), described.vocabulary, composer, complaints);
    complaints.throwIfAny();
    if (stage === undefined) throw new RangeError("A document without complaints has a plan");
    stages.push(stage);
    warnings.push(...described.warnings, ...stage.warnings);
    const { configFrom, configEdits } = stage.template.companions;
    const donor = described.donor ?? stage.template;
    companions = {
      configFrom,
      configEdits: [...configEdits, ...stage.configEdits],
      tokenizerFrom: donor.companions.tokenizerFrom,
      files: new Map([...donor.companions.files, ...described.files]),
      withheld: [...new Set([...donor.companions.withheld, ...described.outdated])],
    };
    const { name } = recipe;
    if (name !== undefined) {
      const config = editedConfig(stage.template.config, stage.configEdits);
      byText.set(name.value, mergedModel(name.value, name.at, config, stage.tensors, companions, place));
    }
  }
  if (companions === undefined) throw new RangeError("A recipe has at least one document");
  return { stages, companions, warnings };
}

/** A folder has no revisions: it is taken as it is, as mergekit takes it. */
function revisionWarnings(recipes: readonly Recipe[]): readonly string[] {
  const references = recipes.flatMap(referencesOf).map(({ value }) => value);
  const warnings = references.flatMap(({ path, revision, lora }) => [
    ...(revision === undefined ? [] : [`Revision ${quote(revision)} of ${quote(path)} has no effect: it is a folder`]),
    ...(lora?.revision === undefined
      ? []
      : [`Revision ${quote(lora.revision)} of ${quote(lora.path)} has no effect: it is a folder`]),
  ]);
  return [...new Set(warnings)];
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
): readonly { passes: number; modelwide: boolean; rowwise: boolean; columnwise: boolean }[] {
  return plan.programs.map((program) => {
    const { statistics, modelwide, rowwise, columnwise } = schedule(program);
    return { passes: statistics.length, modelwide, rowwise, columnwise };
  });
}

function describeModel(model: OpenModel, recipes: readonly Recipe[]): PlannedModel {
  const parameters: Record<string, ParameterValue> = {};
  const slices = recipes.flatMap(slicesOf);
  const sources = slices.flatMap(({ definition }) => definition.sources);
  const source = sources.find(({ model: { value } }) => value.text === model.name);
  for (const [parameter, { value }] of source?.parameters ?? []) {
    parameters[parameter] =
      value.kind === "scalar" ? value.value : JSON.stringify(value.kind === "gradient" ? value.values : value.entries);
  }
  return plannedModel(model, recipes.at(-1)?.base?.value.text === model.name, parameters);
}
