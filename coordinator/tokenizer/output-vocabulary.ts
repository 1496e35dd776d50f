import type { AddedToken, TokenizerFile } from "./tokenizer-file.js";
import type { VocabularyModel } from "./types.js";

/** A model whose tokenizer was read. */
export interface ReadableModel extends VocabularyModel {
  readonly tokenizer: NonNullable<VocabularyModel["tokenizer"]> & { readonly tokenizer: TokenizerFile };
}

/** The output's tokens, as changes to one model's tokenizer, the donor's. The donor's numbers stay as they are. */
export interface OutputVocabulary {
  readonly donor: ReadableModel;
  readonly tokens: ReadonlyMap<string, number>;
  /** The highest number and one. */
  readonly size: number;
  /** The donor's tokens beyond its embedding that are left out. */
  readonly removed: ReadonlySet<string>;
  /** Nothing is left out, appended or added: the donor's files hold as they are. */
  readonly unchanged: boolean;
  /** Tokens of other models that are parts of text, by number, and whose they are. */
  readonly appended: ReadonlyMap<string, ReadableModel>;
  /** All added tokens, by number. */
  readonly added: readonly AddedToken[];
  /** Added tokens that the donor does not have as such. */
  readonly newlyAdded: readonly AddedToken[];
}

/**
 * The donor's tokens, then those that the `others` add, then `named` tokens that are in none of them. The others' tokens
 * come in the order in which mergekit numbers them: first what text is made of, model by model, then added tokens, model
 * by model, each by number. What is an added token anywhere is one in the output.
 */
export function composeVocabulary(
  donor: ReadableModel,
  others: readonly ReadableModel[],
  named: Iterable<string>,
): OutputVocabulary {
  const all = [donor, ...others];
  const added = new Map<string, AddedToken>();
  for (const { tokenizer, rows } of all) {
    for (const token of byNumber(tokenizer.added)) {
      if (token.id < rows && !added.has(token.content)) added.set(token.content, token);
    }
  }

  const own = [...donor.tokenizer.vocabulary];
  const tokens = new Map(own.filter(([, id]) => id < donor.rows).sort(([, a], [, b]) => a - b));
  const beyond = own.filter(([, id]) => id >= donor.rows).map(([token]) => token);
  let size = [...tokens.values()].reduce((highest, id) => Math.max(highest, id + 1), 0);

  const appended = new Map<string, ReadableModel>();
  for (const model of others) {
    for (const [token, id] of [...model.tokenizer.vocabulary].sort(([, a], [, b]) => a - b)) {
      if (id >= model.rows || tokens.has(token) || added.has(token)) continue;
      tokens.set(token, size++);
      appended.set(token, model);
    }
  }
  for (const content of named) {
    if (!tokens.has(content) && !added.has(content)) added.set(content, plainToken(content));
  }
  const numbered = [...added.values()].map((token) => {
    const id = tokens.get(token.content) ?? size++;
    tokens.set(token.content, id);
    return { ...token, id };
  });
  const before = new Set(donor.tokenizer.added.map(({ content }) => content));
  const newlyAdded = numbered.filter(({ content }) => !before.has(content));
  const removed = new Set(beyond.filter((token) => !tokens.has(token)));
  const unchanged = beyond.length + appended.size + newlyAdded.length === 0;
  return { donor, tokens, size, removed, unchanged, appended, added: byNumber(numbered), newlyAdded };
}

export function byNumber(tokens: readonly AddedToken[]): readonly AddedToken[] {
  return tokens.toSorted((a, b) => a.id - b.id);
}

/** A token that only the recipe names. Not normalised, so that it is found wherever it stands in a text. */
function plainToken(content: string): AddedToken {
  return { id: 0, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: false };
}
