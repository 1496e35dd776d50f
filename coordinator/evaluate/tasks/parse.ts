import { quote } from "../../../shared/quote.js";
import { allOrNone, Complaints } from "../../recipe/complaints.js";
import type { Located } from "../../recipe/recipe.js";
import { describe, didYouMeanOrOneOf } from "../../recipe/wording.js";
import { isNull, type YamlMapping, type YamlNode } from "../../recipe/yaml/node.js";
import { readYaml } from "../../recipe/yaml/read.js";
import { maxRows } from "../data/limits.js";
import { metricsOf } from "../metrics/metrics-of.js";
import type { Task, TaskKind } from "../types.js";
import { readClassification, readCustom, readMultiLabel } from "./input-kinds.js";
import type { AnyTask, SettingsOf } from "./settings.js";
import { dataKeys, embeddingKeys, inputKeys, maxTokensAllowed, tokenKeys } from "./shared-fields.js";
import { type Reading, TaskFields } from "./task-fields.js";
import { readGeneration, readMultipleChoice, readPerplexity, readRetrieval, readSimilarity } from "./text-kinds.js";

type KindReaders = {
  readonly [Kind in TaskKind]: {
    /** The keys that a task of this kind may have besides those of all tasks. */
    readonly keys: readonly string[];
    readonly read: (fields: TaskFields) => SettingsOf[Kind] | undefined;
  };
};

const kinds: KindReaders = {
  classification: {
    keys: [...dataKeys, ...inputKeys, ...tokenKeys, "label", "labels", "prompts"],
    read: readClassification,
  },
  multiple_choice: {
    keys: [...dataKeys, ...tokenKeys, "prompt", "choices", "answer", "delimiter", "chat"],
    read: readMultipleChoice,
  },
  perplexity: { keys: [...dataKeys, "text", "window", "stride"], read: readPerplexity },
  generation: {
    keys: [
      ...dataKeys,
      ...tokenKeys,
      ...["prompt", "answer", "max_new_tokens", "until", "extract", "ignore_case", "ignore_punctuation", "chat"],
    ],
    read: readGeneration,
  },
  similarity: { keys: [...dataKeys, ...embeddingKeys, "first", "second", "score"], read: readSimilarity },
  retrieval: {
    keys: [...embeddingKeys, "corpus", "queries", "relevance", "at", "query_prefix", "document_prefix"],
    read: readRetrieval,
  },
  multi_label: {
    keys: [...dataKeys, ...inputKeys, ...tokenKeys, "labels", "answers", "threshold"],
    read: readMultiLabel,
  },
  custom: { keys: [...dataKeys, ...inputKeys, ...embeddingKeys, "module", "output"], read: readCustom },
};

export const taskKinds = Object.keys(kinds) as readonly TaskKind[];

const batchKeys = ["batch", "batch_tokens", "limit"] as const;
const commonKeys = ["kind", ...batchKeys, "expert", "metric"] as const;

/** A task's name heads a column of tables. */
const maxNameLength = 100;

/**
 * The tasks of a task file, in its order. Throws one error, `recipe_invalid`, with a line for every complaint and its
 * place, as recipes do. Whether the files are there that it names is `readTasks()`' to find out.
 */
export function parseTasks(text: string, file: string): readonly AnyTask[] {
  const reading: Reading = { file, complaints: new Complaints(file), needed: [] };
  const tasks = parseInto(reading, text);
  reading.complaints.throwIfAny();
  return tasks;
}

/** The same, with complaints left in `reading` wherever reading can go on. */
export function parseInto(reading: Reading, text: string): readonly AnyTask[] {
  const { complaints } = reading;
  const [root, second] = readYaml(text, complaints, "task file").filter((document) => !isNull(document));
  if (root === undefined) return complaints.fail({ line: 1, column: 1 }, "The task file is empty");
  if (second !== undefined) complaints.add(second.at, "There are several documents in the file, expected one");
  if (root.kind !== "mapping") {
    return complaints.fail(root.at, `A task file must be a mapping, found ${describe(root)}`);
  }
  const fields = new TaskFields(root, reading);
  fields.checkKeys(["defaults", "tasks"]);
  const defaults = fields.nested("defaults");
  defaults?.checkKeys(batchKeys);
  const sizes = readSizes(defaults, { limit: undefined, batchExamples: 32, batchTokens: 8192 });
  const tasks = fields.required("tasks", (key) => fields.mapping(key));
  if (tasks?.entries.size === 0) complaints.add(tasks.at, 'Key "tasks" is an empty mapping');
  const all = [...(tasks?.entries ?? [])].map(([name, { keyAt, value }]) =>
    readTask({ value: name, at: keyAt }, value, sizes, reading),
  );
  return allOrNone(all) ?? [];
}

type Sizes = Pick<Task, "limit" | "batchExamples" | "batchTokens">;

function readSizes(fields: TaskFields | undefined, defaults: Sizes): Sizes {
  return {
    limit: fields?.wholeNumber("limit", 1, maxRows) ?? defaults.limit,
    batchExamples: fields?.wholeNumber("batch", 1, 4096) ?? defaults.batchExamples,
    batchTokens: fields?.wholeNumber("batch_tokens", 1, maxTokensAllowed) ?? defaults.batchTokens,
  };
}

function readTask(name: Located<string>, node: YamlNode, defaults: Sizes, reading: Reading): AnyTask | undefined {
  const { complaints, file } = reading;
  if (!isName(name.value)) {
    const wanted = `must have 1 to ${maxNameLength} characters, none of them invisible`;
    complaints.add(name.at, `Task name ${quote(name.value)} ${wanted}`);
  }
  if (node.kind !== "mapping") {
    return complaints.add(node.at, `Task ${quote(name.value)} must be a mapping, found ${describe(node)}`);
  }
  const fields = new TaskFields(node, reading);
  const kind = readKind(fields, node);
  if (kind === undefined) return undefined;
  fields.checkKeys([...commonKeys, ...kinds[kind].keys]);
  const metric = fields.text("metric");
  const common = {
    name: name.value,
    ...readSizes(fields, defaults),
    expert: fields.text("expert")?.value,
    metric: metric?.value,
    file,
    at: name.at,
  };
  const settings = kinds[kind].read(fields);
  if (settings !== undefined) checkMetric(fields, metric, kind, settings);
  // The kind and its settings go together: both come from one entry of `kinds`.
  return settings && ({ ...common, kind, settings } as AnyTask);
}

/** A custom task's metrics are its module's to name. */
function checkMetric(
  fields: TaskFields,
  metric: Located<string> | undefined,
  kind: TaskKind,
  settings: SettingsOf[TaskKind],
): void {
  if (metric === undefined || kind === "custom") return;
  const names = metricsOf(kind, "at" in settings ? { at: settings.at } : {}).map(({ name }) => name);
  if (names.includes(metric.value)) return;
  fields.complain(metric.at, `Unknown metric ${quote(metric.value)}${didYouMeanOrOneOf(metric.value, names)}`);
}

function readKind(fields: TaskFields, node: YamlMapping): TaskKind | undefined {
  if (fields.has("kind")) return fields.choice("kind", taskKinds);
  // A misspelt `kind` is better named than called missing.
  if (!node.entries.has("kind")) fields.checkKeys([...commonKeys, ...Object.values(kinds).flatMap(({ keys }) => keys)]);
  return fields.missing("kind", `, expected one of ${taskKinds.map(quote).join(", ")}`);
}

function isName(name: string): boolean {
  return name.trim() !== "" && name.length <= maxNameLength && !/[\p{C}\p{Zl}\p{Zp}]/u.test(name);
}
