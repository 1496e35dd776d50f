import type { CheckpointTensor } from "../../shared/checkpoint/open.js";

/**
 * What stands before a model's names when a head is put on it, and not when it is alone: published checkpoints have it or
 * not (`gpt2` does not), whatever class the adapter was trained with.
 */
const prefixes = ["model.", "transformer."] as const;

/** What nearly all models call the output head. */
export const headName = "lm_head";

const heads: ReadonlySet<string> = new Set([headName, "embed_out"]);
/** The embeddings that a head may be tied to. */
const embeddings = [
  "model.embed_tokens",
  "embed_tokens",
  "transformer.wte",
  "wte",
  "gpt_neox.embed_in",
  "embed_in",
  "model.language_model.embed_tokens",
] as const;

/** The base's tensor that an adapter means by `name`, a leading `model.` or `transformer.` more or less. */
export function findInBase(name: string, base: ReadonlyMap<string, CheckpointTensor>): CheckpointTensor | undefined {
  const exact = base.get(name);
  if (exact !== undefined) return exact;
  const without = prefixes.filter((prefix) => name.startsWith(prefix)).map((prefix) => name.slice(prefix.length));
  const candidates = [...without, ...prefixes.map((prefix) => prefix + name)];
  return candidates.map((candidate) => base.get(candidate)).find((tensor) => tensor !== undefined);
}

/** Whether a module is the output head, by its name. */
export function isHead(module: string): boolean {
  return heads.has(module.slice(module.lastIndexOf(".") + 1));
}

/** The input embedding, to which a base without a head of its own ties its head. */
export function findEmbedding(base: ReadonlyMap<string, CheckpointTensor>): CheckpointTensor | undefined {
  return embeddings.map((module) => base.get(`${module}.weight`)).find((tensor) => tensor !== undefined);
}
