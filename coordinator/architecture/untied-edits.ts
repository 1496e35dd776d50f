import type { Architecture } from "./architecture.js";
import type { ConfigEdit } from "./config-edits.js";
import { valueAt } from "./config-value.js";
import { textSections } from "./families.js";

/**
 * What config.json must say of a model that got a head of its own: that it is not the embedding, or loaders ignore it.
 * `has` tells whether the output stores a tensor.
 */
export function untiedEdits(
  config: unknown,
  { ties }: Architecture,
  has: (name: string) => boolean,
): readonly ConfigEdit[] {
  if (!ties.some((tied) => tied.filter(has).length > 1)) return [];
  const paths = [["tie_word_embeddings"], ...textSections.map((section) => [section, "tie_word_embeddings"])];
  return paths.filter((path) => valueAt(config, path) === true).map((path) => ({ path, value: false }));
}
