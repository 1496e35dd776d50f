import { join } from "node:path";
import { type Location, locate, resolveInside } from "../../shared/checkpoint/location.js";
import { readSmallFile } from "../../shared/checkpoint/regular-file.js";
import { isObject, type JsonObject, parseJsonObject } from "./json.js";
import { tokensAddedOnLoading } from "./special-tokens.js";
import { type AddedToken, numberAdded, readTokenizerFile, type TokenizerFile } from "./tokenizer-file.js";

/** A model's tokenizer, read. */
export interface OpenTokenizer {
  readonly directory: string;
  /** Those of {@link tokenizerFiles} that it has, as they were read. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Undefined where there is no `tokenizer.json`, only an older form. */
  readonly tokenizer: TokenizerFile | undefined;
  /** A file of the older form, which only its own library can read. */
  readonly olderForm: string | undefined;
  /** By token, added tokens included. Empty without a `tokenizer.json`. */
  readonly vocabulary: ReadonlyMap<string, number>;
  /** All added tokens, also those that loaders take from `tokenizer_config.json` and its kin. */
  readonly added: readonly AddedToken[];
  /** Jinja; the one named "default" where there are several. */
  readonly chatTemplate: string | undefined;
}

/** The files that a merge of tokenizers reads and may change. */
export const tokenizerFiles = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "chat_template.jinja",
  "chat_template.json",
] as const;

/** Vocabularies in forms other than `tokenizer.json`: their tokens in full, and none of them can be changed by us. */
export const olderForms = [
  "tokenizer.model",
  "vocab.json",
  "vocab.txt",
  "merges.txt",
  "spiece.model",
  "sentencepiece.bpe.model",
  "tekken.json",
] as const;

/** Largest file read; the largest published `tokenizer.json` have some 35 MB. */
export const maxTokenizerBytes = 128 << 20;

/**
 * Reads the tokenizer beside a model's weights; undefined when there is none in any form. Nothing in it is executed.
 * Throws `checkpoint_malformed` for what cannot be read and `path_refused` for links that lead out of the folder.
 */
export async function openTokenizer(directory: string): Promise<OpenTokenizer | undefined> {
  const location = await locate(directory, []);
  const files = new Map<string, Uint8Array>();
  for (const name of tokenizerFiles) {
    const path = await resolveInside(location, name);
    if (path === undefined) continue;
    const options = { name: join(location.directory, name), maxBytes: maxTokenizerBytes, followLinks: false };
    files.set(name, await readSmallFile(path, options));
  }
  const olderForm = await firstPresent(location, olderForms);
  if (files.size === 0 && olderForm === undefined) return undefined;
  return readTokenizer(location.directory, files, olderForm);
}

/** The pure part of {@link openTokenizer}. */
export function readTokenizer(
  directory: string,
  files: ReadonlyMap<string, Uint8Array>,
  olderForm: string | undefined,
): OpenTokenizer {
  const json = (name: string): JsonObject | undefined => {
    const bytes = files.get(name);
    return bytes === undefined ? undefined : parseJsonObject(bytes, join(directory, name));
  };
  const config = json("tokenizer_config.json");
  const chatTemplate = chatTemplateOf(files.get("chat_template.jinja"), config);
  const whole = json("tokenizer.json");
  if (whole === undefined) {
    const [vocabulary, added] = [new Map<string, number>(), []];
    return { directory, files, tokenizer: undefined, olderForm, vocabulary, added, chatTemplate };
  }
  const tokenizer = readTokenizerFile(whole, join(directory, "tokenizer.json"));
  const more = tokensAddedOnLoading(config, json("special_tokens_map.json"), json("added_tokens.json"));
  const added = numberAdded(tokenizer.vocabulary, tokenizer.entries, [...tokenizer.added, ...more]);
  const vocabulary = new Map(tokenizer.vocabulary);
  for (const { content, id } of added) vocabulary.set(content, id);
  return { directory, files, tokenizer, olderForm, vocabulary, added, chatTemplate };
}

/** As transformers looks for it: the file of its own wins over the entry in `tokenizer_config.json`. */
function chatTemplateOf(file: Uint8Array | undefined, config: JsonObject | undefined): string | undefined {
  if (file !== undefined) return Buffer.from(file).toString();
  const template = config?.["chat_template"];
  if (typeof template === "string") return template;
  const named: readonly unknown[] = Array.isArray(template) ? template : [];
  const standard = named.find((entry) => isObject(entry) && entry["name"] === "default");
  return isObject(standard) && typeof standard["template"] === "string" ? standard["template"] : undefined;
}

async function firstPresent(location: Location, names: readonly string[]): Promise<string | undefined> {
  for (const name of names) {
    if ((await resolveInside(location, name)) !== undefined) return name;
  }
  return undefined;
}
