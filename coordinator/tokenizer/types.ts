import type { OpenTokenizer } from "./open.js";
import type { VocabularySegment } from "./segments.js";

/** A model as far as its vocabulary goes. */
export interface VocabularyModel {
  /** As the recipe names it: {@link ModelReference.text}. */
  readonly name: string;
  /** Its place among all models of the merge; undefined for one that only gives the output its tokenizer. */
  readonly model: number | undefined;
  /** Undefined when it has none in any form: it is then taken to have the base's. */
  readonly tokenizer: OpenTokenizer | undefined;
  /** Rows of its embedding: tokens with a higher number have no weights. */
  readonly rows: number;
  /** At most one is. Without one, the first gives the tokenizer, and no model's rows stand in for the others'. */
  readonly isBase: boolean;
}

/** What the output's tokens are, and where every row of its embeddings and heads comes from. */
export interface VocabularyPlan {
  /** Tokens of the output's vocabulary: the highest number and one. */
  readonly tokens: number;
  /** Rows of every embedding and head of the output: `tokens`, rounded up to a multiple of `pad_to_multiple_of`. */
  readonly rows: number;
  /** By {@link VocabularyModel.model}: how the rows of its matrices become rows of the output. Each list has `rows`. */
  readonly rowsOf: ReadonlyMap<number, readonly VocabularySegment[]>;
  /** To write beside the weights, by name: every one of {@link tokenizerFiles} that the donor has. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** The {@link VocabularyModel.model} whose files in older forms may be copied as well. */
  readonly donor: number | undefined;
  /** Those of them that may not, since they hold another vocabulary. */
  readonly outdated: readonly string[];
  readonly warnings: readonly string[];
}
