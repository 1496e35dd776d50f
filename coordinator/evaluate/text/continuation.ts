import type { TextTokenizer } from "./tokenizer.js";
import { splitTrailingSpace } from "./whitespace.js";

/** Tokens, and those that are to be predicted after them. */
export interface Continuation {
  readonly context: readonly number[];
  readonly continuation: readonly number[];
}

/**
 * Tokens of a text and of what continues it, cut as lm-evaluation-harness does (`TemplateLM._encode_pair`). White space
 * at the end of the context goes to the continuation, where most tokenizers have it in front of a word. A decoder's two
 * parts are encoded as one text, and what the context has alone is taken off; an encoder-decoder's are encoded apart.
 *
 * Nothing comes before an empty context but `prefix`.
 *
 * @param isWhole the context is a chat that has its special tokens already
 */
export function encodePair(
  tokenizer: TextTokenizer,
  context: string,
  continuation: string,
  options: { readonly prefix: number | undefined; readonly isSeq2seq: boolean; readonly isWhole?: boolean },
): Continuation {
  const { prefix, isSeq2seq, isWhole = false } = options;
  const [start, trailing] = splitTrailingSpace(context);
  const rest = trailing + continuation;
  const plain = (): readonly number[] => tokenizer.encode(rest, { addSpecial: false }).ids;
  if (start === "") {
    const ids = plain();
    // A continuation that begins with the prefix itself has its context already.
    if (prefix === undefined || ids[0] === prefix) return { context: ids.slice(0, 1), continuation: ids.slice(1) };
    return { context: [prefix], continuation: ids };
  }
  const encode = (text: string): readonly number[] =>
    isWhole ? tokenizer.encode(text, { addSpecial: false }).ids : encodeText(tokenizer, text, prefix);
  const own = encode(start);
  if (isSeq2seq) return { context: own, continuation: plain() };
  return { context: own, continuation: encode(start + rest).slice(own.length) };
}

/** A whole text's tokens. One that begins with the first special token as text gets no second one. */
export function encodeText(tokenizer: TextTokenizer, text: string, prefix: number | undefined): readonly number[] {
  const written = prefix === undefined ? "" : tokenizer.decode([prefix], { skipSpecial: false });
  const hasPrefix = written !== "" && text.startsWith(written);
  return tokenizer.encode(text, { addSpecial: !hasPrefix }).ids;
}

/** What stands before a text that nothing comes before: the first token that the tokenizer names, as in lm-eval. */
export function prefixOf({ bos, eos }: TextTokenizer): number | undefined {
  return bos ?? eos;
}
