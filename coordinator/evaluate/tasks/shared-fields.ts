import { quote } from "../../../shared/quote.js";
import { allOrNone } from "../../recipe/complaints.js";
import type { DataSource } from "../data/source.js";
import { readDataSource } from "./data-fields.js";
import type { DataSettings, EmbeddingSettings, Input, TokenSettings } from "./settings.js";
import type { TaskFields } from "./task-fields.js";
import type { Template } from "./template.js";

/** No model's positions reach further, and arrays of this length are still small. */
export const maxTokensAllowed = 1 << 20;

export const dataKeys = ["data", "id"] as const;
export const tokenKeys = ["max_tokens", "truncation"] as const;
export const embeddingKeys = ["pooling", "normalize", ...tokenKeys] as const;
export const inputKeys = ["input", "text", "text_pair", "image"] as const;

const poolings = ["mean", "cls", "last", "pooler"] as const;

export function readData(fields: TaskFields): DataSettings | undefined {
  const data = readDataSource(fields);
  const id = fields.column("id");
  return data && { data, id };
}

export function readTokens(fields: TaskFields, truncation: TokenSettings["truncation"] = "right"): TokenSettings {
  return {
    maxTokens: fields.wholeNumber("max_tokens", 1, maxTokensAllowed),
    truncation: fields.choice("truncation", ["left", "right"]) ?? truncation,
  };
}

export function readPooling(fields: TaskFields): Pick<EmbeddingSettings, "pooling" | "normalize"> {
  return { pooling: fields.choice("pooling", poolings), normalize: fields.boolean("normalize") ?? true };
}

export function readEmbedding(fields: TaskFields): EmbeddingSettings {
  return { ...readPooling(fields), ...readTokens(fields) };
}

/** What the model is shown: `text` (with `text_pair`), `image`, or tensors under `input`. A folder's images say so. */
export function readInput(fields: TaskFields, data: DataSource | undefined): Input | undefined {
  const isFolder = data?.format === "images";
  fields.checkOnlyOne(["input", "text", "image"], !isFolder);
  const pair = fields.prose("text_pair");
  if (fields.has("text")) {
    const text = fields.prose("text");
    return text && { kind: "text", text, pair };
  }
  const pairAt = fields.entry("text_pair")?.keyAt;
  if (pairAt !== undefined) fields.complain(pairAt, `Key "text_pair" needs the key "text" beside it`);
  if (fields.has("input")) return readTensors(fields, data);
  if (!fields.has("image") && !isFolder) return undefined;
  const image = fields.has("image") ? fields.column("image") : folderColumn(fields, "file");
  return image && { kind: "image", image };
}

/** A field that every image of a folder has. */
export function folderColumn(fields: TaskFields, name: "file" | "label"): Template {
  const { line, column } = fields.at;
  return { kind: "column", source: name, place: `${fields.reading.file}:${line}:${column}` };
}

function readTensors(fields: TaskFields, data: DataSource | undefined): Input | undefined {
  const at = fields.entry("input")?.keyAt ?? fields.at;
  if (data !== undefined && !["safetensors", "parquet", "jsonl"].includes(data.format)) {
    const advice = "which safetensors, parquet and jsonl have";
    return fields.complain(at, `Key "input" feeds tensors or lists of numbers, ${advice}, and ${data.format} has not`);
  }
  const columns = fields.nested("input");
  if (columns === undefined) return undefined;
  const names = [...(fields.mapping("input")?.entries.keys() ?? [])];
  if (names.length === 0) return fields.complain(at, 'Key "input" is an empty mapping');
  const pairs = names.map((name) => {
    const column = columns.has(name) ? columns.text(name) : columns.missing(name);
    return column && ([name, column.value] as const);
  });
  const all = allOrNone(pairs);
  return all && { kind: "tensors", columns: Object.fromEntries(all) };
}

/** Names of classes, no two alike. */
export function readLabels(fields: TaskFields): readonly string[] | undefined {
  const labels = fields.texts("labels");
  const seen = new Set<string>();
  for (const { value, at } of labels ?? []) {
    if (seen.has(value)) fields.complain(at, `Label ${quote(value)} appears twice`);
    seen.add(value);
  }
  return labels?.map(({ value }) => value);
}
