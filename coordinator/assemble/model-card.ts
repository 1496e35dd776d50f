import { methods } from "../../shared/methods/index.js";
import type { MergeMethod } from "../../shared/methods/method.js";
import type { Plan, PlannedModel } from "../plan/types.js";
import { manifestName } from "./manifest.js";

export const cardName = "README.md";

/** What plans are made of besides merge methods. */
const others: ReadonlyMap<string, Pick<MergeMethod, "title" | "reference" | "summary">> = new Map([
  [
    "moe",
    {
      title: "Mixture of experts",
      reference: {
        title: "Komatsuzaki et al. 2022, Sparse Upcycling",
        url: "https://arxiv.org/abs/2212.05055",
      },
      summary: "The base with its feed-forward layers replaced by those of every expert and a router.",
    },
  ],
]);

/**
 * The README that the Hugging Face Hub shows: what was merged, how, and how to do it again. Nothing in it depends on the
 * machine or the run.
 */
export function formatModelCard(plan: Plan, facts: { readonly recipeText: string; readonly amalgam: string }): string {
  const method = methods.get(plan.method) ?? others.get(plan.method);
  const reference = method?.reference;
  const source = reference?.url === undefined ? reference?.title : `[${reference.title}](${reference.url})`;
  const base = plan.models.find(({ isBase }) => isBase);
  const recipe = facts.recipeText.endsWith("\n") ? facts.recipeText : `${facts.recipeText}\n`;
  const fence = fenceFor(recipe);
  return [
    frontMatter(plan),
    "# Merged model",
    `A merge of ${plan.models.length} models, made with Amalgam ${facts.amalgam}.`,
    "## Method",
    `**${escapeText(method?.title ?? plan.method)}** (\`${plan.method}\`)${source === undefined ? "" : `, ${source}`}.` +
      `${base === undefined ? "" : ` The base is ${code(base.name)}.`}` +
      `${method === undefined ? "" : `\n\n${method.summary}`}`,
    "## Models",
    table(plan.models),
    "## Recipe",
    `${fence}yaml\n${recipe}${fence}`,
    "## Make it again",
    "Save the recipe as `recipe.yaml`, put the models where it looks for them, and run:",
    `\`\`\`sh\namalgam ${others.has(plan.method) ? plan.method : "merge"} recipe.yaml merged/\n\`\`\``,
    `The same recipe and the same models give the same bytes. \`${manifestName}\` lists the SHA-256 of every file; ` +
      "`amalgam verify` checks them.",
  ]
    .join("\n\n")
    .concat("\n");
}

/** Metadata that the Hub reads, between dashes. A JSON string is a YAML string. */
function frontMatter({ models }: Plan): string {
  const ids = [...new Set(models.map(hubId).filter((id) => id !== undefined))];
  return [
    "---",
    ...(ids.length === 0 ? [] : ["base_model:", ...ids.map((id) => `- ${JSON.stringify(id)}`)]),
    ...(ids.length === 0 ? [] : ["base_model_relation: merge"]),
    "library_name: transformers",
    "tags:",
    "- merge",
    "- amalgam",
    "---",
  ].join("\n");
}

/**
 * The model's name on the Hub, `organisation/name`, told from the folder that the Hub's cache keeps it in or from how
 * the recipe names it. A path is not a name there and would be a broken link.
 */
function hubId({ name, directory }: PlannedModel): string | undefined {
  const cached = /(?:^|[/\\])models--([^/\\]+?)--([^/\\]+)/.exec(directory);
  if (cached !== null) return `${cached[1]}/${cached[2]}`;
  return /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/.test(name) ? name : undefined;
}

function table(models: readonly PlannedModel[]): string {
  const names = [...new Set(models.flatMap(({ parameters }) => Object.keys(parameters)))];
  const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [
    row(["Model", ...names.map(code)]),
    row(["---", ...names.map(() => "---")]),
    ...models.map(({ name, isBase, parameters }) => {
      const shown = isBase ? `${code(name)} (base)` : code(name);
      return row([shown, ...names.map((parameter) => escapeText(String(parameters[parameter] ?? "")))]);
    }),
  ].join("\n");
}

/** Text from outside, so that it stays text: not a link, not a table's border, not HTML. */
function escapeText(text: string): string {
  return text.replace(/\p{C}|\s/gu, " ").replace(/[\\`*_{}[\]()<>#|~]/g, (mark) => `\\${mark}`);
}

function code(text: string): string {
  const plain = text.replace(/\p{C}|\s/gu, " ").replaceAll("|", "\\|");
  const ticks = "`".repeat(longestRun(plain) + 1);
  const pad = plain.startsWith("`") || plain.endsWith("`") ? " " : "";
  return `${ticks}${pad}${plain}${pad}${ticks}`;
}

/** Longer than any fence within, so that a recipe cannot end its own block. */
function fenceFor(text: string): string {
  return "`".repeat(Math.max(3, longestRun(text) + 1));
}

function longestRun(text: string): number {
  return Math.max(0, ...(text.match(/`+/g) ?? []).map((run) => run.length));
}
