import type { TextTokenizer } from "./tokenizer.js";

/** As many as an agent takes. */
const maxStopTokens = 1024;

/**
 * Tokens that end a generation: `ends`, and those whose text begins with one of `until`, which nothing before it is lost
 * with. Where a stop text begins inside a token or spans several, the model goes on for nothing and the text is cut.
 */
export function stopTokens(
  tokenizer: TextTokenizer,
  ends: readonly number[],
  until: readonly string[],
): readonly number[] {
  const stop = new Set(ends);
  if (until.length > 0) {
    for (let id = 0; id < tokenizer.size && stop.size < maxStopTokens; id++) {
      const text = tokenizer.decode([id], { skipSpecial: false });
      if (until.some((stopText) => text.startsWith(stopText))) stop.add(id);
    }
  }
  return [...stop].slice(0, maxStopTokens).sort((a, b) => a - b);
}
