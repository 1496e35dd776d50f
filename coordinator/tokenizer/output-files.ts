import { join } from "node:path";
import { quoteList } from "../../shared/quote.js";
import { formatJson, isObject, type JsonObject, parseJsonObject } from "./json.js";
import { olderForms } from "./open.js";
import { byNumber, type OutputVocabulary } from "./output-vocabulary.js";
import { contentOf, specialTokenFields, specialTokenLists } from "./special-tokens.js";
import type { AddedToken } from "./tokenizer-file.js";
import { withVocabulary } from "./with-vocabulary.js";

export interface OutputFiles {
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** The donor's files in older forms that hold another vocabulary than the output's. */
  readonly outdated: readonly string[];
}

/**
 * The tokenizer's files for the output: the donor's, byte for byte where its vocabulary is the output's, else with the
 * tokens that differ changed in each of them.
 */
export function outputFiles(output: OutputVocabulary, warnings: string[]): OutputFiles {
  const { donor, appended, removed, unchanged } = output;
  if (unchanged) return { files: donor.tokenizer.files, outdated: [] };
  const { directory } = donor.tokenizer;
  const files = new Map(donor.tokenizer.files);
  const change = (name: string, edit: (json: JsonObject) => JsonObject): void => {
    const bytes = donor.tokenizer.files.get(name);
    const file = join(directory, name);
    if (bytes !== undefined) files.set(name, formatJson(edit(parseJsonObject(bytes, file)), file));
  };
  change("tokenizer.json", () => withVocabulary(output));
  change("tokenizer_config.json", (config) => withDecoder(withoutTokens(config, removed), output.added));
  change("special_tokens_map.json", (map) => withoutTokens(map, removed));
  change("added_tokens.json", (numbers) => withNumbers(numbers, output));
  const named = namedSpecial(donor.tokenizer.files, directory).filter((token) => removed.has(token));
  if (named.length > 0) {
    warnings.push(`The output names no special tokens ${quoteList(named)} any more, since they have no rows`);
  }
  // Added tokens stand beside an older form, in added_tokens.json or added_tokens_decoder; only tekken.json holds its own.
  const whole = appended.size > 0 || [...removed].some((token) => donor.tokenizer.tokenizer.vocabulary.has(token));
  return { files, outdated: olderForms.filter((name) => whole || name === "tekken.json") };
}

/** Leaves out special tokens that are no more: loaders would give them new numbers, beyond the embedding. */
function withoutTokens(json: JsonObject, removed: ReadonlySet<string>): JsonObject {
  const gone = (token: unknown): boolean => removed.has(contentOf(token) ?? "");
  const kept = Object.entries(json).filter(([key, value]) => !(isSingle(key) && gone(value)));
  return Object.fromEntries(
    kept.map(([key, value]) => {
      if (!isList(key)) return [key, value];
      if (Array.isArray(value)) return [key, value.filter((token) => !gone(token))];
      return [
        key,
        isObject(value) ? Object.fromEntries(Object.entries(value).filter(([, token]) => !gone(token))) : value,
      ];
    }),
  );
}

function withDecoder(config: JsonObject, added: readonly AddedToken[]): JsonObject {
  if (!isObject(config["added_tokens_decoder"])) return config;
  const decoder = byNumber(added).map(({ id, ...token }) => [String(id), token]);
  return { ...config, added_tokens_decoder: Object.fromEntries(decoder) };
}

/** `added_tokens.json`: the numbers of tokens that an older form does not hold. */
function withNumbers(numbers: JsonObject, { tokens, removed, appended, newlyAdded }: OutputVocabulary): JsonObject {
  const kept = Object.keys(numbers).filter((token) => !removed.has(token));
  const all = new Set([...kept, ...appended.keys(), ...newlyAdded.map(({ content }) => content)]);
  return Object.fromEntries([...all].map((token) => [token, tokens.get(token) ?? numbers[token]]));
}

/** The tokens that the files name as the one for something, such as for padding. */
function namedSpecial(files: ReadonlyMap<string, Uint8Array>, directory: string): readonly string[] {
  const named = ["tokenizer_config.json", "special_tokens_map.json"].flatMap((name) => {
    const bytes = files.get(name);
    const json = bytes === undefined ? {} : parseJsonObject(bytes, join(directory, name));
    return Object.entries(json).map(([key, value]) => (isSingle(key) ? contentOf(value) : undefined));
  });
  return [...new Set(named)].filter((token) => token !== undefined);
}

function isSingle(key: string): boolean {
  return specialTokenFields.some((field) => field === key);
}

function isList(key: string): boolean {
  return specialTokenLists.some((field) => field === key);
}
