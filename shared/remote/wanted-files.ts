import { indexFileName } from "../checkpoint/index-json.js";

/** Files beside weights, small, in the names that transformers, PEFT, processors and vLLM read and the Hub shows. */
export const companionNames = [
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer.model",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "vocab.txt",
  "merges.txt",
  "spiece.model",
  "sentencepiece.bpe.model",
  "tekken.json",
  "chat_template.jinja",
  "chat_template.json",
  "preprocessor_config.json",
  "processor_config.json",
  "video_preprocessor_config.json",
  "adapter_config.json",
  "README.md",
  "LICENSE",
  "LICENSE.md",
  "LICENSE.txt",
  "NOTICE",
] as const;

/** Weights that are found without a list of a folder's files. */
export const knownWeights = [indexFileName, "model.safetensors", "adapter_model.safetensors"] as const;

const companions: ReadonlySet<string> = new Set(companionNames);

/** Which of a folder's files, listed by name, are wanted before an index is read: all but its shards. */
export interface WantedFiles {
  /** Companions and weights, but no shards. */
  readonly names: readonly string[];
  /** The index to read for the names of shards; undefined: there is none. */
  readonly index: string | undefined;
}

/**
 * Chooses as a folder's weights are chosen (`checkpoint/weights.ts`): the usual index, else `model.safetensors`, else the
 * only other index, else every safetensors file, for the planner to judge. An adapter's weights come along.
 */
export function chooseFiles(listed: readonly string[]): WantedFiles {
  const small = listed.filter((name) => companions.has(name) || /^(?:added_tokens.*|[^.].*\.jinja)$/.test(name));
  const adapters = listed.filter((name) => name === "adapter_model.safetensors");
  const whole = listed.filter((name) => name === "model.safetensors");
  if (listed.includes(indexFileName)) return { names: [...small, ...adapters, indexFileName], index: indexFileName };
  if (whole.length > 0) return { names: [...small, ...adapters, ...whole], index: undefined };
  const indexes = listed.filter((name) => name.endsWith(".safetensors.index.json"));
  const [index] = indexes;
  if (index !== undefined) {
    return { names: [...small, ...adapters, ...indexes], index: indexes.length === 1 ? index : undefined };
  }
  return { names: [...small, ...listed.filter((name) => name.endsWith(".safetensors"))], index: undefined };
}
