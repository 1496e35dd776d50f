import type { ConfigReader } from "../config.js";
import type { Decoder, DecoderLayer } from "./decoder.js";
import { llama } from "./llama.js";
import { readLayerTypes } from "./read.js";

/** Qwen 2 and 2.5 (Yang et al., 2024): Llama with biases of queries, keys and values, and windows in its later layers. */
export function qwen2(config: ConfigReader): Decoder {
  const base = llama(config);
  const attention = { ...base.attention, bias: { input: true, output: false } };
  return { ...base, family: "qwen2", layers: withWindows(config, base.layers), attention };
}

/** What transformers takes where config.json has no `head_dim`. */
const qwen3HeadWidth = 128;

/** Qwen 3 (Yang et al., 2025): norms of queries and keys take the place of Qwen 2's biases. */
export function qwen3(config: ConfigReader): Decoder {
  const base = llama(config, { headWidth: qwen3HeadWidth });
  const attention = { ...base.attention, normsHeads: true };
  return { ...base, family: "qwen3", layers: withWindows(config, base.layers), attention };
}

/** `isSliding` says which layers have a window where config.json does not; `first` is its `max_window_layers`. */
export function withWindows(
  config: ConfigReader,
  layers: readonly DecoderLayer[],
  isSliding = (layer: number, first: number): boolean => layer >= first,
): DecoderLayer[] {
  if (!config.flag("use_sliding_window", false) || config.isNull("sliding_window")) return [...layers];
  const window = config.size("sliding_window", 4_096);
  const first = config.count("max_window_layers", 28);
  const types = readLayerTypes(config, layers.length, (layer) => isSliding(layer, first));
  return layers.map((layer, i) => (types[i] === "sliding_attention" ? { ...layer, window } : layer));
}
