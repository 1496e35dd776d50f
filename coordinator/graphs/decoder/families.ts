import type { GraphFamily } from "../types.js";
import { gemma, gemma2, gemma3 } from "./gemma.js";
import { gpt2 } from "./gpt2.js";
import { decoderFamily, languageModelFamily } from "./graphs.js";
import { llama } from "./llama.js";
import { mistral } from "./mistral.js";
import { mixtral } from "./mixtral.js";
import { phi3 } from "./phi3.js";
import { qwen2, qwen3 } from "./qwen.js";
import { qwen2Moe, qwen3Moe } from "./qwen-moe.js";

/** Decoders by `model_type`. */
export const decoderFamilies: Readonly<Record<string, GraphFamily>> = {
  llama: decoderFamily(llama),
  mistral: decoderFamily(mistral),
  qwen2: decoderFamily(qwen2),
  qwen3: decoderFamily(qwen3),
  gemma: decoderFamily(gemma),
  gemma2: decoderFamily(gemma2),
  gemma3: decoderFamily(gemma3),
  gemma3_text: decoderFamily(gemma3),
  phi3: decoderFamily(phi3),
  gpt2: languageModelFamily(gpt2),
  mixtral: decoderFamily(mixtral),
  qwen2_moe: decoderFamily(qwen2Moe),
  qwen3_moe: decoderFamily(qwen3Moe),
};
