import { quote, quoteList } from "../../shared/quote.js";
import type { StageModel } from "../plan/stage-model.js";
import type { Complaints } from "../recipe/complaints.js";
import { type MoeConfig, usesPrompts } from "./config.js";
import { type MoeLayout, moeLayouts } from "./layouts.js";

/** The first layout that fits the config and its models, as mergekit chooses; complains where none does. */
export function chooseLayout(
  config: MoeConfig,
  base: StageModel,
  experts: readonly StageModel[],
  complaints: Complaints,
): MoeLayout | undefined {
  const { modelType } = base.architecture;
  const other = experts.find(({ architecture }) => architecture.modelType !== modelType);
  if (other !== undefined) {
    const types = `${quote(other.name)} is ${quote(other.architecture.modelType)} and the base is ${quote(modelType)}`;
    return complaints.add(other.at, `All models must be of one type, but ${types}`);
  }
  const { architecture } = config;
  const wanted = architecture?.value.toLowerCase() ?? "";
  const candidates = moeLayouts.filter(({ name }) => name.toLowerCase().startsWith(wanted));
  if (architecture !== undefined && candidates.length === 0) {
    const known = quoteList(moeLayouts.map(({ name }) => name));
    return complaints.add(
      architecture.at,
      `Unknown architecture ${quote(architecture.value)}, expected the beginning of one of ${known}`,
    );
  }
  const problems = candidates.map((layout) => problemWith(layout, config, modelType));
  const fitting = candidates[problems.indexOf(undefined)];
  if (fitting !== undefined) return fitting;
  const reasons = candidates.map(({ name }, i) => `${name} ${problems[i]}`).join("; ");
  return complaints.add(architecture?.at ?? config.base.at, `No output architecture fits: ${reasons}`);
}

/** Why a layout does not fit, reading on from its name. */
function problemWith(layout: MoeLayout, config: MoeConfig, modelType: string): string | undefined {
  const { sources, shared } = layout;
  const count = config.sharedExperts.length;
  if (!sources.includes(modelType)) return `is made from models of type ${quoteList(sources)}, not ${quote(modelType)}`;
  if (count < shared.min || count > shared.max) {
    const range = shared.min === shared.max ? `exactly ${shared.max}` : `at most ${shared.max}`;
    return `takes ${shared.max === 0 ? "no shared experts" : `${range} shared expert`}, found ${count}`;
  }
  const prompted = config.sharedExperts.some(({ positivePrompts: yes, negativePrompts: no }) => yes.length + no.length);
  const isRouted = usesPrompts(config.gateMode);
  if (count > 0 && shared.isGated && isRouted && !prompted) return "needs positive_prompts for its shared expert";
  if (count > 0 && !shared.isGated && prompted) return "has no gate for its shared expert, which thus takes no prompts";
  return undefined;
}
