import type { Encoded, TextTokenizer } from "./tokenizer.js";

/**
 * A text's tokens, `maxTokens` of them at most. Special tokens stay: what is cut is the text, from its end or its start;
 * of a pair, the longer text one token at a time, as transformers' "longest_first" does.
 */
export function encodeWithin(
  tokenizer: TextTokenizer,
  text: string,
  options: {
    readonly pair?: string | undefined;
    readonly maxTokens: number | undefined;
    readonly truncation: "left" | "right";
  },
): Encoded {
  const { pair, maxTokens = Number.POSITIVE_INFINITY, truncation } = options;
  const whole = tokenizer.encode(text, { pair });
  const excess = whole.ids.length - maxTokens;
  if (excess <= 0) return whole;

  const first = tokenizer.encode(text, { addSpecial: false }).ids.length;
  const second = pair === undefined ? 0 : tokenizer.encode(pair, { addSpecial: false }).ids.length;
  const cut = sharedCut(first, second, Math.min(excess, first + second));
  const frame = frameOf(tokenizer, pair !== undefined, whole, first, second);
  const drop = new Set<number>();
  const mark = (start: number, length: number, count: number): void => {
    const from = truncation === "left" ? start : start + length - count;
    for (let i = from; i < from + count; i++) drop.add(i);
  };
  mark(frame.first, first, cut.first);
  mark(frame.second, second, cut.second);
  const keep = <T>(values: readonly T[]): T[] => values.filter((_, i) => !drop.has(i));
  return { ids: keep(whole.ids), types: keep(whole.types) };
}

/** How many tokens each of two texts loses. Where both are cut, the one that was longer keeps the odd token. */
function sharedCut(first: number, second: number, count: number): { first: number; second: number } {
  const room = first + second - count;
  const shorter = Math.min(first, second, Math.floor(room / 2));
  const [keepFirst, keepSecond] = first <= second ? [shorter, room - shorter] : [room - shorter, shorter];
  return { first: first - keepFirst, second: second - keepSecond };
}

/** Where the two texts begin among the tokens of both. Special tokens may stand before, between and after them. */
function frameOf(
  tokenizer: TextTokenizer,
  hasPair: boolean,
  whole: Encoded,
  first: number,
  second: number,
): { readonly first: number; readonly second: number } {
  const special = whole.ids.length - first - second;
  // An empty text shows how many special tokens come before it and after.
  const empty = tokenizer.encode("", hasPair ? { pair: "" } : {}).ids;
  const start = commonStart(whole.ids, empty, Math.min(special, empty.length));
  if (!hasPair) return { first: start, second: start + first };
  const end = commonStart(whole.ids.toReversed(), empty.toReversed(), Math.max(0, empty.length - start));
  return { first: start, second: whole.ids.length - end - second };
}

function commonStart(a: readonly number[], b: readonly number[], most: number): number {
  let count = 0;
  while (count < most && a[count] === b[count]) count++;
  return count;
}
