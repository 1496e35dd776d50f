import type { ConfigReader } from "../config.js";
import type { Decoder } from "./decoder.js";
import { llama } from "./llama.js";

/** What transformers takes where config.json does not say; `null` is for no window. */
const usual = { window: 4_096, keyHeads: 8, maxTokens: 131_072 } as const;

/** Mistral (Jiang et al., 2023): Llama, without biases, with a sliding window in every layer. */
export function mistral(config: ConfigReader): Decoder {
  const base = llama(config, usual);
  const window = config.isNull("sliding_window") ? undefined : config.size("sliding_window", usual.window);
  return { ...base, family: "mistral", layers: base.layers.map((layer) => ({ ...layer, window })) };
}
