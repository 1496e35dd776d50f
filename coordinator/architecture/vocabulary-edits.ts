import type { ConfigEdit } from "./config-edits.js";
import { countAt, objectAt } from "./config-value.js";
import { textSections } from "./families.js";

/** What a vocabulary of another size changes in config.json: `vocab_size`, wherever a language model is described. */
export function vocabularyEdits(config: unknown, rows: number): readonly ConfigEdit[] {
  const sections = [[], ...textSections.map((section) => [section])];
  const there = sections
    .flatMap((section) => [
      [...section, "vocab_size"],
      [...section, "padded_vocab_size"],
    ])
    .filter((path) => countAt(config, path) !== undefined);
  if (there.length > 0) return there.map((path) => ({ path, value: rows }));
  // A config that leaves it to a default means the inner model, where there is one.
  const inner = textSections.find((section) => objectAt(config, [section]) !== undefined);
  return [{ path: inner === undefined ? ["vocab_size"] : [inner, "vocab_size"], value: rows }];
}
