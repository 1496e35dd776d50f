import type { ConfigReader } from "../config.js";
import type { Decoder } from "./decoder.js";
import { llama } from "./llama.js";

/** What transformers takes where config.json does not mention a window; `null` is for none. */
const usualWindow = 4_096;

/** Mistral (Jiang et al., 2023): Llama, without biases, with a sliding window in every layer. */
export function mistral(config: ConfigReader): Decoder {
  const base = llama(config);
  const window = config.isNull("sliding_window") ? undefined : config.size("sliding_window", usualWindow);
  return { ...base, family: "mistral", layers: base.layers.map((layer) => ({ ...layer, window })) };
}
