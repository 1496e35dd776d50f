import type { JsonValue } from "../../shared/checkpoint/json-value.js";
import { formatCount, quote } from "../../shared/quote.js";

/** A setting of config.json, and the layers that it may speak of. */
export interface LayerSetting {
  readonly key: string;
  readonly value: unknown;
  /** The settings beside it. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** How many layers there were: by the tensors' names, and as config.json says. */
  readonly counts: readonly number[];
  /** For each layer of the output, the layer from before that takes its place. */
  readonly picked: readonly number[];
}

export type Adjustment = { readonly value: JsonValue } | { readonly warning: string };

interface WindowSettings {
  readonly use_sliding_window?: unknown;
  readonly layer_types?: unknown;
  readonly sliding_window_pattern?: unknown;
}

/** Lists of layers' numbers. */
const numbersOfLayers = new Set([
  "mlp_only_layers",
  "moe_layers",
  "attn_layer_indices",
  "full_attn_idxs",
  "hybrid_layer_ids",
  "cross_attention_layers",
  "fullatt_block_indexes",
  "window_block_indexes",
]);

/** How many of the first layers are unlike the others. */
const firstLayers = new Set([
  "first_k_dense_replace",
  "num_dense_layers",
  "moe_layer_start_index",
  "max_window_layers",
]);

/** Every how many layers there is an unlike one, and the list that is read in its place where there is one. */
const rhythms: ReadonlyMap<string, string | undefined> = new Map([
  ["decoder_sparse_step", undefined],
  ["moe_layer_freq", undefined],
  ["attn_layer_period", undefined],
  ["expert_layer_period", undefined],
  ["interleave_moe_layer_step", "moe_layers"],
  ["sliding_window_pattern", "layer_types"],
  ["full_attention_interval", "layer_types"],
  ["global_attn_every_n_layers", "layer_types"],
  ["no_rope_layer_interval", "no_rope_layers"],
  ["dense_attention_every_n_layers", undefined],
]);

/** What depends on layers in a way that cannot be carried over. */
const unclear = new Set(["num_kv_shared_layers", "deepstack_visual_indexes", "attention_types"]);

/** Lists that may be as long as there are layers and do not speak of them. */
const notOfLayers = /token|architectures|label|features|^mtp_/;

/** What becomes of a setting when layers are picked; undefined when it stays. */
export function adjust(setting: LayerSetting): Adjustment | undefined {
  const { key, value, settings, counts, picked } = setting;
  if (numbersOfLayers.has(key) && isWholeNumbers(value) && value.length > 0) {
    const marked = new Set(value);
    return { value: picked.flatMap((layer, i) => (marked.has(layer) ? [i] : [])) };
  }
  if (key === "hybrid_override_pattern" && typeof value === "string" && counts.includes(value.length)) {
    return { value: picked.map((layer) => value.charAt(layer)).join("") };
  }
  if (Array.isArray(value) && counts.includes(value.length) && !notOfLayers.test(key)) {
    return { value: picked.map((layer) => (value[layer] ?? null) as JsonValue) };
  }
  if (firstLayers.has(key) && isRead(key, settings) && isWholeNumbers([value])) {
    return firstOf(key, Number(value), picked);
  }
  const period = typeof value === "string" && key === "sliding_window_pattern" ? value.length : value;
  if (rhythms.has(key) && isWholeNumbers([period]) && !Array.isArray(settings[rhythms.get(key) ?? ""])) {
    return isInRhythm(picked, Number(period)) ? undefined : { warning: offBeat(key, value) };
  }
  return unclear.has(key) && isSaying(value)
    ? { warning: `${inConfig(key)} depends on layers, check it by hand` }
    : undefined;
}

/** Models whose code alternates layers without a word in their configs. */
const impliedPeriods: ReadonlyMap<string, number> = new Map([
  ["gemma2", 2],
  ["gemma3", 6],
  ["gemma3_text", 6],
]);

/** Models whose first layer has the position biases of all of them (T5; Raffel et al. 2020, section 2.1). */
const firstHasBiases = new Set(["t5", "mt5", "longt5"]);

/** A warning about what the kind of model makes of a layer's number without a word in config.json. */
export function warnOfImplied(
  modelType: string,
  settings: Readonly<Record<string, unknown>>,
  picked: readonly number[],
): string | undefined {
  const [first] = picked;
  if (firstHasBiases.has(modelType) && first !== undefined && first !== 0) {
    return `Layer 0 of ${quote(modelType)} has the position biases of all layers, and the output's layer 0 was layer ${first}: it has none`;
  }
  const period = impliedPeriods.get(modelType);
  const { layer_types: types, sliding_window_pattern: pattern } = settings as WindowSettings;
  if (period === undefined || Array.isArray(types) || typeof pattern === "number") return undefined;
  if (isInRhythm(picked, period)) return undefined;
  return `Layers of ${quote(modelType)} take turns in how they attend, ${period} in a round, and the output's layers are out of step: add "layer_types" to its config.json by hand`;
}

/** Qwen2 and Qwen3 write the number of layers with a window whether there is a window or not. */
function isRead(key: string, settings: Readonly<Record<string, unknown>>): boolean {
  const { use_sliding_window: hasWindow, layer_types: types } = settings as WindowSettings;
  return key !== "max_window_layers" || (hasWindow === true && !Array.isArray(types));
}

function firstOf(key: string, first: number, picked: readonly number[]): Adjustment | undefined {
  const count = picked.findIndex((layer) => layer >= first);
  if (count === -1) return picked.length > first ? { value: picked.length } : undefined;
  if (picked.slice(count).some((layer) => layer < first)) {
    return {
      warning: `${inConfig(key)} sets the first ${formatCount(first)} layers apart, and in the output they are not the first any more: no value of it is right`,
    };
  }
  return count === first ? undefined : { value: count };
}

function isInRhythm(picked: readonly number[], period: number): boolean {
  return period <= 1 || picked.every((layer, i) => layer % period === i % period);
}

function offBeat(key: string, value: unknown): string {
  return `${inConfig(key)} is ${JSON.stringify(value)}, a rhythm of layers, and the output's layers are out of step: no value of it is right`;
}

function inConfig(key: string): string {
  return `${quote(key)} in config.json`;
}

function isWholeNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function isSaying(value: unknown): boolean {
  return value !== undefined && value !== null && value !== 0 && !(Array.isArray(value) && value.length === 0);
}
