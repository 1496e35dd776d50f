import type { ConfigReader } from "../config.js";
import type { Decoder, DecoderLayer } from "./decoder.js";
import { llama } from "./llama.js";
import { readLayerTypes } from "./read.js";

/** What transformers takes where config.json does not say. */
const usual = { keyHeads: 32, maxTokens: 32_768, window: 4_096, firstWindow: 28 } as const;

/** Qwen 2 and 2.5 (Yang et al., 2024): Llama with biases of queries, keys and values, and windows in its later layers. */
export function qwen2(config: ConfigReader): Decoder {
  const base = llama(config, usual);
  const attention = { ...base.attention, bias: { input: true, output: false } };
  return { ...base, family: "qwen2", layers: withWindows(config, base.layers), attention };
}

/** Qwen 3 (Yang et al., 2025): norms of queries and keys take the place of Qwen 2's biases. */
export function qwen3(config: ConfigReader): Decoder {
  const base = llama(config, { ...usual, headWidth: 128 });
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
  const window = config.size("sliding_window", usual.window);
  const first = config.count("max_window_layers", usual.firstWindow);
  const types = readLayerTypes(config, layers.length, (layer) => isSliding(layer, first));
  return layers.map((layer, i) => (types[i] === "sliding_attention" ? { ...layer, window } : layer));
}
