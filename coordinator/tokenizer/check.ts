import { Tokenizer } from "@huggingface/tokenizers";
import { formatCount, quote, quoteList } from "../../shared/quote.js";
import { readTokenizer } from "./open.js";
import type { AddedToken } from "./tokenizer-file.js";
import type { VocabularyPlan } from "./types.js";

export interface TokenizerCheck {
  /** What is wrong with the output's tokenizer, each a sentence. */
  readonly problems: readonly string[];
  /** Why text was not encoded: the library does not know a part of this tokenizer. */
  readonly notEncoded: string | undefined;
}

/** Texts that take every path through a tokenizer: words, accents, scripts without spaces, surrogates, code, blanks. */
export const sampleTexts: readonly string[] = [
  "The quick brown fox jumps over the lazy dog, doesn't it?",
  "Ça coûte déjà 3 450,50 € à Zürich — naïve façade",
  "我们合并模型。モデルを統合します。모델을 병합합니다",
  "👩‍🔬🧪 → 🇪🇺 naïve 😀😀",
  "def f(x):\n\treturn {k: v ** 2 for k, v in x.items()}  # ok\r\n",
  "  two  spaces\n\n\nthree lines 1234567890 0x1F_ff",
  "Привет, мир! שלום עולם مرحبا بالعالم",
];

/** The library wants every part to be named; files may leave out what they do not have. */
const noParts = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };

/**
 * Encodes texts and every added token with the output's tokenizer, before any weights move: all numbers must be below
 * `tokens`, and an added token must come out as itself. Takes about a second for 150,000
 * tokens.
 */
export function checkTokenizer(
  files: ReadonlyMap<string, Uint8Array>,
  plan: Pick<VocabularyPlan, "tokens">,
  samples: readonly string[] = sampleTexts,
): TokenizerCheck {
  const { tokenizer: file, vocabulary, added } = readTokenizer("", files, undefined);
  if (file === undefined) return { problems: ['The output has no "tokenizer.json"'], notEncoded: undefined };
  const problems: string[] = [];
  const beyond = [...vocabulary].filter(([, id]) => id >= plan.tokens).map(([token]) => token);
  if (beyond.length > 0) problems.push(`Tokens have numbers beyond ${formatCount(plan.tokens)}: ${quoteList(beyond)}`);

  try {
    const tokenizer = new Tokenizer({ ...noParts, ...file.json, added_tokens: added }, {});
    return { problems: [...problems, ...encodeAll(tokenizer, added, plan.tokens, samples)], notEncoded: undefined };
  } catch (error) {
    return { problems, notEncoded: error instanceof Error ? error.message : String(error) };
  }
}

function encodeAll(
  tokenizer: Tokenizer,
  added: readonly AddedToken[],
  tokens: number,
  samples: readonly string[],
): readonly string[] {
  const problems: string[] = [];
  for (const text of samples) {
    const beyond = encode(tokenizer, text).filter((id) => id !== undefined && id >= tokens);
    if (beyond.length > 0) {
      problems.push(`Text ${quote(text)} is encoded with numbers that no row has: ${beyond.join(", ")}`);
    }
  }
  // Others are looked for in normalised text, which may never have them: that is how their model was trained.
  const exact = added.filter(({ special, normalized }) => special || !normalized);
  const changed = exact.filter(({ content, id }) => !isOnly(encode(tokenizer, content), id));
  if (changed.length > 0) {
    problems.push(`Added tokens are not encoded as themselves: ${quoteList(changed.map(({ content }) => content))}`);
  }
  return problems;
}

/** The numbers of a text; undefined for what no token stands for, which the library's types do not tell. */
function encode(tokenizer: Tokenizer, text: string): readonly (number | undefined)[] {
  return tokenizer.encode(text, { add_special_tokens: false }).ids;
}

function isOnly(ids: readonly (number | undefined)[], id: number): boolean {
  return ids.length === 1 && ids[0] === id;
}
