import { isObject, type JsonObject } from "./json.js";
import { type AddedToken, addedToken } from "./tokenizer-file.js";

/** The fields of `tokenizer_config.json` and `special_tokens_map.json` that name one token. */
export const specialTokenFields = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
] as const;

/** The fields that list more of them, under the old name and the new. */
export const specialTokenLists = ["additional_special_tokens", "extra_special_tokens"] as const;

/**
 * Tokens that transformers adds to what `tokenizer.json` has, in its order: `added_tokens_decoder` by number, or
 * `added_tokens.json` in models from before that, then whatever is named as a special token. Their numbers are only what
 * the files say.
 */
export function tokensAddedOnLoading(
  config: JsonObject | undefined,
  specialTokens: JsonObject | undefined,
  added: JsonObject | undefined,
): readonly AddedToken[] {
  const decoder = config?.["added_tokens_decoder"];
  const numbered = isObject(decoder)
    ? Object.entries(decoder).map(([id, entry]) => (isObject(entry) ? addedToken(entry, Number(id)) : undefined))
    : Object.entries(added ?? {}).map(([content, id]) => addedToken({ content }, id));
  const named = [config, specialTokens].flatMap((source) => specialTokensOf(source ?? {}));
  return [
    ...numbered.filter((token) => token !== undefined).sort((a, b) => a.id - b.id),
    ...named.flatMap((content) => addedToken({ content, special: true, normalized: false }, 0) ?? []),
  ];
}

/** The tokens that a file names as special. */
function specialTokensOf(source: JsonObject): readonly string[] {
  const lists = specialTokenLists.flatMap((field): unknown[] => {
    const list = source[field];
    return typeof list === "object" && list !== null ? Object.values(list) : [];
  });
  return [...specialTokenFields.map((field) => source[field]), ...lists]
    .map(contentOf)
    .filter((content) => content !== undefined);
}

/** A token is written as its text, or as an object with its text. */
export function contentOf(token: unknown): string | undefined {
  if (typeof token === "string") return token;
  return isObject(token) && typeof token["content"] === "string" ? token["content"] : undefined;
}
