import { quote } from "../../shared/quote.js";
import { isObject, type JsonObject, malformed } from "./json.js";

/**
 * `tokenizer.json` as the Hugging Face `tokenizers` library writes it, as far as merging needs to look into it. Immutable:
 * what is changed is a new object.
 */
export interface TokenizerFile {
  /** All of it, for what is written back. */
  readonly json: JsonObject;
  readonly kind: TokenizerKind;
  /** The model's own tokens; added tokens may or may not be among them. */
  readonly vocabulary: ReadonlyMap<string, number>;
  /** How many entries the model's own vocabulary has: where the numbers of added tokens start. */
  readonly entries: number;
  /** In the order of the file, numbered as the library does on loading, whatever the file says. */
  readonly added: readonly AddedToken[];
  /** How many added tokens the file numbers otherwise than the library will. */
  readonly renumbered: number;
}

export type TokenizerKind = "BPE" | "WordPiece" | "Unigram" | "WordLevel";

/** A token that is cut out of the text before the model sees the rest. The fields are the library's. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

/** A pair of tokens that BPE joins; the earlier in the list, the sooner. */
export type Merge = readonly [left: string, right: string];

const kinds: ReadonlySet<string> = new Set(["BPE", "WordPiece", "Unigram", "WordLevel"] satisfies TokenizerKind[]);

/** No published vocabulary has a million tokens; every one costs memory in each model of a merge. */
export const maxTokens = 4 << 20;

/** `file` is for messages. */
export function readTokenizerFile(json: JsonObject, file: string): TokenizerFile {
  const { model } = json;
  if (!isObject(model)) throw malformed(file, 'it has no "model"');
  const kind = kindOf(model, file);
  const vocabulary = kind === "Unigram" ? scoredVocabulary(model, file) : numberedVocabulary(model, file);
  // A list may name a token twice, and then the library counts both.
  const entries = Array.isArray(model["vocab"]) ? model["vocab"].length : vocabulary.size;
  const declared = addedTokens(json, file);
  const added = numberAdded(vocabulary, entries, declared);
  const inFile = new Map(declared.map(({ content, id }) => [content, id]));
  const renumbered = added.filter(({ id, content }) => inFile.get(content) !== id).length;
  return { json, kind, vocabulary, entries, added, renumbered };
}

/**
 * Added tokens with the numbers that the library gives them on loading: the model's own where the model knows the token,
 * else the next free ones in the order of the file. A token that is listed twice counts once.
 */
export function numberAdded(
  vocabulary: ReadonlyMap<string, number>,
  entries: number,
  tokens: readonly AddedToken[],
): AddedToken[] {
  const numbered = new Map<string, AddedToken>();
  let next = entries;
  for (const token of tokens) {
    if (numbered.has(token.content)) continue;
    numbered.set(token.content, { ...token, id: vocabulary.get(token.content) ?? next++ });
  }
  return [...numbered.values()];
}

/** Whether a BPE writes text as bytes in GPT-2's alphabet, `Ġhello`, and not as characters, `▁hello`. */
export function isByteLevel({ json }: TokenizerFile): boolean {
  // Parts are in sequences, and sequences in sequences; nobody goes deeper than a few.
  const inside = (part: unknown, depth: number): boolean =>
    isObject(part) &&
    (part["type"] === "ByteLevel" ||
      (depth > 0 && [part["pretokenizers"], part["normalizers"]].flat().some((inner) => inside(inner, depth - 1))));
  return inside(json["pre_tokenizer"], 8) || inside(json["normalizer"], 8);
}

/** The merges of a BPE, in either of the forms in which they are written: `"a b"` or `["a", "b"]`. */
export function mergesOf({ json }: TokenizerFile, file: string): readonly Merge[] {
  const merges = isObject(json["model"]) ? json["model"]["merges"] : undefined;
  if (!Array.isArray(merges)) throw malformed(file, 'its BPE model has no list of "merges"');
  return merges.map((merge: unknown) => {
    const parts: readonly unknown[] = typeof merge === "string" ? merge.split(" ") : Array.isArray(merge) ? merge : [];
    const [left, right] = parts;
    if (parts.length !== 2 || typeof left !== "string" || typeof right !== "string") {
      throw malformed(file, `merge ${quote(JSON.stringify(merge))} is not a pair of tokens`);
    }
    return [left, right];
  });
}

/** What a merge makes: `un` + `##do` is `undo` where `##` marks pieces that continue a word. */
export function merged(model: JsonObject, [left, right]: Merge): string {
  const prefix = model["continuing_subword_prefix"];
  return left + (typeof prefix === "string" && right.startsWith(prefix) ? right.slice(prefix.length) : right);
}

/** Old files leave the type out, and the library then looks at the fields. */
function kindOf(model: JsonObject, file: string): TokenizerKind {
  const { type } = model;
  if (type === undefined) {
    if (Array.isArray(model["merges"])) return "BPE";
    if (Array.isArray(model["vocab"])) return "Unigram";
    return typeof model["continuing_subword_prefix"] === "string" ? "WordPiece" : "WordLevel";
  }
  if (typeof type === "string" && kinds.has(type)) return type as TokenizerKind;
  throw malformed(file, `its model is of type ${quote(String(type))}, not one of ${[...kinds].join(", ")}`);
}

function numberedVocabulary(model: JsonObject, file: string): ReadonlyMap<string, number> {
  if (!isObject(model["vocab"])) throw malformed(file, 'its model has no "vocab"');
  const entries = Object.entries(model["vocab"]);
  for (const [token, id] of entries) {
    if (!isTokenNumber(id)) throw malformed(file, `token ${quote(token)} has the number ${quote(String(id))}`);
  }
  return new Map((entries as [string, number][]).sort(([, a], [, b]) => a - b));
}

function scoredVocabulary(model: JsonObject, file: string): ReadonlyMap<string, number> {
  const { vocab } = model;
  if (!Array.isArray(vocab) || vocab.length > maxTokens) throw malformed(file, 'its model has no list "vocab"');
  const tokens = vocab.map((entry: unknown, id): [string, number] => {
    const [token, score] = Array.isArray(entry) ? entry : [];
    if (typeof token !== "string" || typeof score !== "number") {
      throw malformed(file, `entry ${id} of its vocabulary is not a token with a score`);
    }
    return [token, id];
  });
  return new Map(tokens);
}

function addedTokens(json: JsonObject, file: string): AddedToken[] {
  const list = json["added_tokens"] ?? [];
  if (!Array.isArray(list)) throw malformed(file, '"added_tokens" is not a list');
  return list.map((entry: unknown, place) => {
    const token = isObject(entry) ? addedToken(entry, entry["id"]) : undefined;
    if (token === undefined) throw malformed(file, `added token ${place + 1} has no content or no number`);
    return token;
  });
}

/** An added token from its description in JSON; what is left out has the library's defaults. */
export function addedToken(entry: JsonObject, id: unknown): AddedToken | undefined {
  const { content } = entry;
  if (typeof content !== "string" || content === "" || !isTokenNumber(id)) return undefined;
  const special = entry["special"] === true;
  return {
    id,
    content,
    single_word: entry["single_word"] === true,
    lstrip: entry["lstrip"] === true,
    rstrip: entry["rstrip"] === true,
    normalized: typeof entry["normalized"] === "boolean" ? entry["normalized"] : !special,
    special,
  };
}

function isTokenNumber(id: unknown): id is number {
  return Number.isSafeInteger(id) && (id as number) >= 0 && (id as number) < maxTokens;
}
