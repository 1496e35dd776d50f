import type { Plan, PlannedModel } from "../plan/types.js";
import { type CombinedLicense, licensesOf } from "../provenance/licenses/combine.js";
import type { SourceCard } from "../provenance/source-card.js";

/** Metadata that the Hub reads, between dashes. A JSON string is a YAML string. */
export function formatFrontMatter({ models }: Plan): string {
  const ids = distinct(models.map(hubId));
  const cards = models.flatMap((model) => model.cards ?? []);
  return [
    "---",
    ...list("base_model", ids),
    ...(ids.length === 0 ? [] : ["base_model_relation: merge"]),
    "library_name: transformers",
    ...entry("pipeline_tag", onlyOne(models, cards)),
    ...list("language", distinct(cards.flatMap(({ languages }) => languages))),
    ...list("datasets", distinct(cards.flatMap(({ datasets }) => datasets))),
    ...licenseEntries(licensesOf(models)),
    "tags:",
    "- merge",
    "- amalgam",
    "---",
  ].join("\n");
}

export function licenseEntries({ license, licenseName, licenseLink }: CombinedLicense): readonly string[] {
  return [...entry("license", license), ...entry("license_name", licenseName), ...entry("license_link", licenseLink)];
}

/** What all sources are for. Where one does not say, the result is not said to be for anything. */
function onlyOne(models: readonly PlannedModel[], cards: readonly SourceCard[]): string | undefined {
  const tags = new Set(cards.map(({ pipelineTag }) => pipelineTag));
  const [tag] = tags;
  return tags.size === 1 && cards.length >= models.length ? tag : undefined;
}

/** Identifiers of the Hub's read better without quotes, and nothing else is written so: not what YAML 1.1 reads as a truth. */
function entry(key: string, value: string | undefined): readonly string[] {
  if (value === undefined) return [];
  return [
    `${key}: ${/^[a-z]+[\w.+-]*$/.test(value) && !/^(?:true|false|yes|no|on|off|null|nan)$/.test(value) ? value : JSON.stringify(value)}`,
  ];
}

function list(key: string, values: readonly string[]): readonly string[] {
  return values.length === 0 ? [] : [`${key}:`, ...values.map((value) => `- ${JSON.stringify(value)}`)];
}

function distinct(values: readonly (string | undefined)[]): readonly string[] {
  return [...new Set(values.filter((value) => value !== undefined))];
}

/**
 * The model's name on the Hub, `organisation/name`, told from where it was found there, or from the folder that the Hub's
 * cache keeps it in. A path is not a name there, though it may look like one, and would link to a stranger's model.
 */
export function hubId({
  name,
  directory,
  origin,
}: Pick<PlannedModel, "name" | "directory" | "origin">): string | undefined {
  const [, found] = /^hf:\/\/([^/@]+\/[^/@]+)/.exec(origin ?? name) ?? [];
  if (found !== undefined) return found;
  if (origin !== undefined) return undefined;
  const cached = /(?:^|[/\\])models--([^/\\]+?)--([^/\\]+)/.exec(directory);
  return cached === null ? undefined : `${cached[1]}/${cached[2]}`;
}
