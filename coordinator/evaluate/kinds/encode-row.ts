import type { ModelGraphs } from "../../graphs/types.js";
import type { TokenSettings } from "../tasks/settings.js";
import type { Encoded, TextTokenizer } from "../text/tokenizer.js";
import { encodeWithin } from "../text/truncate.js";
import type { Row } from "../types.js";
import { rowError } from "./mismatch.js";

/** The longest input: what the author allows, and never more than the model does. */
export function maxTokensOf({ maxTokens }: Partial<TokenSettings>, graphs: ModelGraphs): number | undefined {
  if (maxTokens === undefined || graphs.maxTokens === undefined) return maxTokens ?? graphs.maxTokens;
  return Math.min(maxTokens, graphs.maxTokens);
}

/** A row's text as tokens, cut as the settings say. Refuses a text that has none: a model cannot run on nothing. */
export function encodeRow(
  tokenizer: TextTokenizer,
  row: Row,
  text: string,
  options: Parameters<typeof encodeWithin>[2],
): Encoded {
  const encoded = encodeWithin(tokenizer, text, options);
  if (encoded.ids.length === 0) throw rowError(row, "The text is empty: it has no tokens");
  return encoded;
}

/** What stands where an example has no token. The mask hides it, so any token will do. */
export function padOf({ pad, eos }: TextTokenizer): number {
  return pad ?? eos ?? 0;
}
