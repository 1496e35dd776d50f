import { methods } from "../../shared/methods/index.js";
import type { MergeMethod } from "../../shared/methods/method.js";
import { defaultShardBytes } from "../plan/layout.js";
import type { Plan, PlannedModel } from "../plan/types.js";
import { licensesOf } from "../provenance/licenses/combine.js";
import type { Made } from "../provenance/made.js";
import { formatFrontMatter } from "./front-matter.js";
import { formatLicenses } from "./license-section.js";
import { manifestName } from "./manifest.js";
import { code, escapeText, fenceFor, tableRow } from "./markdown.js";

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

export interface CardFacts {
  readonly recipeText: string;
  readonly amalgam: string;
  /** What else decided the bytes. */
  readonly made?: Made | undefined;
}

/**
 * The README that the Hugging Face Hub shows: what was merged, how, and how to do it again. Nothing in it depends on the
 * machine or the run.
 */
export function formatModelCard(plan: Plan, facts: CardFacts): string {
  const method = methods.get(plan.method) ?? others.get(plan.method);
  const reference = method?.reference;
  const source = reference?.url === undefined ? reference?.title : `[${reference.title}](${reference.url})`;
  const base = plan.models.find(({ isBase }) => isBase);
  const recipe = facts.recipeText.endsWith("\n") ? facts.recipeText : `${facts.recipeText}\n`;
  const fence = fenceFor(recipe);
  return [
    formatFrontMatter(plan),
    "# Merged model",
    `A merge of ${plan.models.length} models, made with Amalgam ${facts.amalgam}.`,
    "## Method",
    `**${escapeText(method?.title ?? plan.method)}** (\`${plan.method}\`)${source === undefined ? "" : `, ${source}`}.` +
      `${base === undefined ? "" : ` The base is ${code(base.name)}.`}` +
      `${method === undefined ? "" : `\n\n${method.summary}`}`,
    "## Models",
    table(plan.models),
    ...formatLicenses(licensesOf(plan.models)),
    "## Recipe",
    `${fence}yaml\n${recipe}${fence}`,
    "## Make it again",
    "Save the recipe as `recipe.yaml`, put the models where it looks for them, and run:",
    `\`\`\`sh\namalgam ${[...commandOf(plan, facts.made), "merged/"].join(" ")}\n\`\`\``,
    `The same recipe and the same models give the same bytes. \`${manifestName}\` lists the SHA-256 of every file; ` +
      `\`amalgam verify\` checks them, and \`amalgam reproduce ${manifestName}\` makes them again and compares.`,
  ]
    .join("\n\n")
    .concat("\n");
}

/** What makes it again, with those options that decide bytes. */
function commandOf({ method }: Plan, made: Made | undefined): readonly string[] {
  const command = [others.has(method) ? method : "merge", "recipe.yaml"];
  if (made?.kind !== "merge" && made?.kind !== "moe") return command;
  const isUsual = made.shardBytes === defaultShardBytes;
  return [
    ...command,
    ...(isUsual ? [] : [`--shard-size ${made.shardBytes}`]),
    ...(made.kind === "moe" && made.allowIdenticalExperts ? ["--allow-identical-experts"] : []),
  ];
}

function table(models: readonly PlannedModel[]): string {
  const names = [...new Set(models.flatMap(({ parameters }) => Object.keys(parameters)))];
  return [
    tableRow(["Model", ...names.map(code)]),
    tableRow(["---", ...names.map(() => "---")]),
    ...models.map(({ name, isBase, parameters }) => {
      const shown = isBase ? `${code(name)} (base)` : code(name);
      return tableRow([shown, ...names.map((parameter) => escapeText(String(parameters[parameter] ?? "")))]);
    }),
  ].join("\n");
}
