import type { Complaints } from "../recipe/complaints.js";
import type { Recipe, TokenizerSetting } from "../recipe/recipe.js";
import { planChatTemplate, withChatTemplate } from "../tokenizer/chat-template.js";
import { checkTokenizer } from "../tokenizer/check.js";
import { type OpenTokenizer, readTokenizer } from "../tokenizer/open.js";
import { planVocabulary } from "../tokenizer/plan.js";
import type { VocabularyPlan } from "../tokenizer/types.js";
import type { OutputVocabulary } from "./align.js";
import type { OpenModel } from "./open-models.js";
import { referencesOf, slicesOf } from "./references.js";
import type { StageModel } from "./stage-model.js";

/** What a recipe says of tokenizers and templates, worked out. */
export interface RecipeCompanions {
  /** Undefined: every model keeps its own rows. */
  readonly vocabulary: OutputVocabulary | undefined;
  /** Whose tokenizer files are copied, where that is not the template's. */
  readonly donor: StageModel | undefined;
  /** Files made for the output, by name. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Files of the donor's that hold another vocabulary than the output's. */
  readonly outdated: readonly string[];
  readonly warnings: readonly string[];
}

/** Plans the output's vocabulary, tokenizer and chat template. Complaints are collected. */
export function planCompanions(
  recipe: Recipe,
  opened: readonly OpenModel[],
  modelOf: (text: string) => StageModel | undefined,
  complaints: Complaints,
): RecipeCompanions {
  const none = {
    vocabulary: undefined,
    donor: undefined,
    files: new Map<string, Uint8Array>(),
    outdated: [],
    warnings: [],
  };
  const { tokenizer: setting, chatTemplate } = recipe;
  if (setting === undefined && chatTemplate === undefined) return none;
  const models = referencesOf(recipe)
    .map(({ value }) => modelOf(value.text))
    .filter((model) => model !== undefined);
  const base = baseOf(recipe);
  const giveRows = rowGivers(recipe);
  const described = models.map((model, place) => ({
    name: model.name,
    model: giveRows.has(model.name) ? place : undefined,
    tokenizer: tokenizerOf(model, opened),
    rows: embeddingRows(model),
    isBase: model.name === base,
  }));

  const plan = setting === undefined ? undefined : planVocabulary(setting, described, complaints);
  if (setting !== undefined && plan === undefined) return none;
  const donor = models.find(({ name }) => name === donorOf(setting, base)) ?? models[0];
  const files = new Map(plan?.files);
  const warnings = [...(plan?.warnings ?? [])];
  if (chatTemplate !== undefined && donor !== undefined) {
    const chosen = planChatTemplate(chatTemplate, described, complaints);
    warnings.push(...(chosen?.warnings ?? []));
    if (chosen?.template !== undefined) {
      const before = plan?.files ?? tokenizerOf(donor, opened)?.files ?? new Map<string, Uint8Array>();
      for (const [name, bytes] of withChatTemplate(before, chosen.template)) files.set(name, bytes);
    }
  }
  if (setting !== undefined && plan !== undefined && donor !== undefined) {
    warnings.push(...encodeSamples(setting, plan, tokenizerOf(donor, opened), complaints));
  }
  const vocabulary = plan && { plan, models };
  return { vocabulary, donor, files, outdated: plan?.outdated ?? [], warnings };
}

/** Encodes text with a tokenizer that was put together, before any weights move. What is wrong is complained of. */
function encodeSamples(
  setting: TokenizerSetting,
  plan: VocabularyPlan,
  donor: OpenTokenizer | undefined,
  complaints: Complaints,
): readonly string[] {
  const [made, own] = [plan.files, donor?.files].map((files) => files?.get("tokenizer.json"));
  if (made === undefined || (own !== undefined && Buffer.compare(made, own) === 0)) return [];
  const { problems, notEncoded } = checkTokenizer(plan.files, plan);
  for (const problem of problems) complaints.add(setting.at, `The output's tokenizer would be wrong: ${problem}`);
  return notEncoded === undefined ? [] : [`The output's tokenizer was not tried on text: ${notEncoded}`];
}

/** Models that are merged, or that tokens are taken from; others only lend their tokenizer. */
function rowGivers(recipe: Recipe): ReadonlySet<string> {
  const slices = slicesOf(recipe);
  const tokens = [...(recipe.tokenizer?.tokens.values() ?? [])].map(({ source }) => source);
  return new Set([
    ...slices.flatMap(({ definition }) => definition.sources.map(({ model }) => model.value.text)),
    ...slices.flatMap(({ base }) => (base === undefined ? [] : [base.value.text])),
    ...tokens.flatMap((source) => (source === undefined || source.kind === "zero" ? [] : [source.model.value.text])),
  ]);
}

/** The model whose tokenizer is the output's but for what is added to it. */
function donorOf(setting: TokenizerSetting | undefined, base: string | undefined): string | undefined {
  const source = setting?.source.value;
  return typeof source === "object" ? source.text : base;
}

/** The base that stands for "base" among tokenizers: the recipe's, else that of its first slice. */
function baseOf(recipe: Recipe): string | undefined {
  return recipe.base?.value.text ?? slicesOf(recipe)[0]?.base?.value.text;
}

/** A model's tokenizer: of its folder, or with the files that an earlier document made. */
function tokenizerOf(model: StageModel, opened: readonly OpenModel[]): OpenTokenizer | undefined {
  const { tokenizerFrom, files } = model.companions;
  const own = opened[tokenizerFrom]?.tokenizer;
  if (files.size === 0) return own;
  return readTokenizer(own?.directory ?? model.name, new Map([...(own?.files ?? []), ...files]), undefined);
}

/** Rows of the model's embedding; 0 when none was recognised. */
function embeddingRows(model: StageModel): number {
  for (const name of model.names()) {
    if (model.architecture.place(name).tokens === "embedding") return model.tensor(name)?.shape[0] ?? 0;
  }
  return 0;
}
