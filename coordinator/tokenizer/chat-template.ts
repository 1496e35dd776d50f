import { quote, quoteList } from "../../shared/quote.js";
import { suggest } from "../../shared/suggest.js";
import type { Complaints } from "../recipe/complaints.js";
import type { Located } from "../recipe/recipe.js";
import { builtInTemplates } from "./built-in-templates.js";
import { formatJson, parseJsonObject } from "./json.js";
import type { VocabularyModel } from "./types.js";

export interface ChatTemplatePlan {
  /** Jinja; undefined when `auto` found none. */
  readonly template: string | undefined;
  readonly warnings: readonly string[];
}

/** Shorter than any template, as in mergekit: what is meant is a name. */
const minTemplateLength = 20;

/**
 * What `chat_template` asks for: `auto` takes the template that most models have, of several the base's or else the
 * first; a name one of {@link builtInTemplates}; anything else is Jinja. Undefined when there was a complaint.
 */
export function planChatTemplate(
  setting: Located<string>,
  models: readonly Pick<VocabularyModel, "name" | "tokenizer" | "isBase">[],
  complaints: Complaints,
): ChatTemplatePlan | undefined {
  const { value, at } = setting;
  if (value === "auto") return mostCommon(models);
  const template = builtInTemplates.get(value);
  if (template !== undefined) return { template, warnings: [] };
  if (value.length >= minTemplateLength && value.includes("{")) return { template: value, warnings: [] };
  const names = ["auto", ...builtInTemplates.keys()];
  const near = suggest(value, names);
  const meant = near === undefined ? `; known are ${quoteList(names, names.length)}` : `, did you mean ${quote(near)}?`;
  return complaints.add(at, `Chat template ${quote(value)} is neither a name nor Jinja${meant}`);
}

function mostCommon(models: readonly Pick<VocabularyModel, "tokenizer" | "isBase">[]): ChatTemplatePlan {
  const votes = new Map<string, number>();
  // The base votes first and the first of equals wins.
  for (const { tokenizer } of models.toSorted((a, b) => Number(b.isBase) - Number(a.isBase))) {
    const template = tokenizer?.chatTemplate?.trim() ?? "";
    if (template !== "") votes.set(template, (votes.get(template) ?? 0) + 1);
  }
  const most = Math.max(...votes.values());
  const [template] = [...votes].find(([, count]) => count === most) ?? [];
  const warnings = template === undefined ? ["No model has a chat template, so the output has none either"] : [];
  return { template, warnings };
}

/**
 * A tokenizer's files with another chat template; `files` are a donor's as read, or a {@link VocabularyPlan}'s.
 *
 * It is written into `tokenizer_config.json`, which every version of every loader reads; and into `chat_template.jinja`
 * and `chat_template.json` where they are, since newer versions prefer them and would not see ours. Templates under
 * other names, such as for tools, go: they belong to the old one.
 */
export function withChatTemplate(
  files: ReadonlyMap<string, Uint8Array>,
  template: string,
): ReadonlyMap<string, Uint8Array> {
  const name = "tokenizer_config.json";
  const config = files.get(name);
  const changed = new Map(files);
  const parsed = config === undefined ? {} : parseJsonObject(config, name);
  changed.set(name, formatJson({ ...parsed, chat_template: template }, name));
  if (files.has("chat_template.jinja")) changed.set("chat_template.jinja", Buffer.from(template));
  if (files.has("chat_template.json")) {
    changed.set("chat_template.json", formatJson({ chat_template: template }, "chat_template.json"));
  }
  return changed;
}
