import { createHash } from "node:crypto";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { AmalgamError } from "../../../shared/errors.js";
import { formatCount, quote } from "../../../shared/quote.js";
import { isObject, type JsonObject, malformed, parseJsonObject } from "../../tokenizer/json.js";
import { type OpenTokenizer, openTokenizer } from "../../tokenizer/open.js";
import { contentOf, specialTokenFields } from "../../tokenizer/special-tokens.js";

/** Numbers of a text's tokens. */
export interface Encoded {
  readonly ids: readonly number[];
  /** 0 for tokens of the first text, 1 for those of its pair. As long as `ids`. */
  readonly types: readonly number[];
}

export interface EncodeOptions {
  /** Whether the tokens that the checkpoint's post-processor puts around texts are added. @default true */
  readonly addSpecial?: boolean;
  /** A second text. */
  readonly pair?: string | undefined;
}

/** Cuts text into tokens as transformers does for the same folder. */
export interface TextTokenizer {
  readonly directory: string;
  /** Numbers of the special tokens that the checkpoint names. */
  readonly bos: number | undefined;
  readonly eos: number | undefined;
  readonly pad: number | undefined;
  /** Tokens: the highest number and one. */
  readonly size: number;
  /** Special tokens by field, such as `bos_token`: what chat templates see. */
  readonly specialTokens: Readonly<Record<string, string>>;
  /** Jinja; undefined where the checkpoint has none. */
  readonly chatTemplate: string | undefined;
  /** SHA-256 of the files, hex. */
  readonly digest: string;
  encode(text: string, options?: EncodeOptions): Encoded;
  /** @param skipSpecial leaves special tokens out. @default true */
  decode(ids: readonly number[], options?: { readonly skipSpecial?: boolean }): string;
}

/** The library wants every part to be named; files may leave out what they do not have. */
const noParts = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };

/**
 * Opens the tokenizer beside a checkpoint's weights. Throws `checkpoint_mismatch` where there is none in the form of
 * `tokenizer.json`, `checkpoint_malformed` for one that cannot be used.
 */
export async function openTextTokenizer(directory: string): Promise<TextTokenizer> {
  const open = await openTokenizer(directory);
  if (open?.tokenizer === undefined) {
    const older =
      open?.olderForm === undefined ? "" : `, only ${quote(open.olderForm)}, which only its own library reads`;
    throw new AmalgamError(
      "checkpoint_mismatch",
      `Cannot read text for ${quote(directory)}: it has no "tokenizer.json"${older}; copy the one of the model it comes from`,
      { details: { directory } },
    );
  }
  return textTokenizer(open);
}

/** The pure part of {@link openTextTokenizer}. */
export function textTokenizer(open: OpenTokenizer): TextTokenizer {
  const { directory, files, vocabulary, added, chatTemplate } = open;
  const config = jsonOf(files, "tokenizer_config.json", directory);
  const map = jsonOf(files, "special_tokens_map.json", directory);
  const specialTokens: Record<string, string> = {};
  for (const field of specialTokenFields) {
    const content = contentOf(config[field]) ?? contentOf(map[field]);
    if (content !== undefined) specialTokens[field] = content;
  }
  const idOf = (field: string): number | undefined => vocabulary.get(specialTokens[field] ?? "");
  const tokenizer = build(open, withBosAndEos(open.tokenizer?.json ?? {}, config, specialTokens, vocabulary));
  const special = new Set(added.filter((token) => token.special).map(({ id }) => id));
  const digest = createHash("sha256");
  for (const [name, bytes] of files) digest.update(name).update("\0").update(bytes).update("\0");

  return {
    directory,
    bos: idOf("bos_token"),
    eos: idOf("eos_token"),
    pad: idOf("pad_token"),
    size: [...vocabulary.values()].reduce((size, id) => Math.max(size, id + 1), 0),
    specialTokens,
    chatTemplate,
    digest: digest.digest("hex"),
    encode(text, { addSpecial = true, pair } = {}) {
      const options = { add_special_tokens: addSpecial, return_token_type_ids: true as const };
      try {
        const encoding = tokenizer.encode(text, pair === undefined ? options : { ...options, text_pair: pair });
        return known(encoding.ids, encoding.token_type_ids ?? []);
      } catch (cause) {
        throw tooLong(text, cause);
      }
    },
    decode(ids, { skipSpecial = true } = {}) {
      const kept = skipSpecial ? ids.filter((id) => !special.has(id)) : [...ids];
      // The library refuses an empty list.
      return kept.length === 0 ? "" : tokenizer.decode(kept, { clean_up_tokenization_spaces: cleansUp(config) });
    },
  };
}

/** The library puts a text's tokens on the stack, where SentencePiece's do not fit from some 120,000 on. */
function tooLong(text: string, cause: unknown): AmalgamError {
  if (!(cause instanceof RangeError)) return AmalgamError.from(cause);
  const shown = `${formatCount(text.length)} characters that begins ${quote(text.slice(0, 40))}`;
  return new AmalgamError(
    "usage",
    `Cannot cut a text of ${shown} into tokens: it is too long to be cut at once; make several rows of it`,
    { cause },
  );
}

/** What no token stands for has no number, which the library's types do not tell; the Rust library leaves it out. */
function known(ids: readonly (number | undefined)[], types: readonly number[]): Encoded {
  const encoded: { ids: number[]; types: number[] } = { ids: [], types: [] };
  for (const [i, id] of ids.entries()) {
    if (id === undefined) continue;
    encoded.ids.push(id);
    encoded.types.push(types[i] ?? 0);
  }
  return encoded;
}

/** transformers 5 takes spaces before punctuation away only where the checkpoint asks for it. */
function cleansUp(config: JsonObject): boolean {
  return config["clean_up_tokenization_spaces"] === true;
}

function build({ directory, added }: OpenTokenizer, json: JsonObject): Tokenizer {
  try {
    return new Tokenizer({ ...noParts, ...json, added_tokens: added }, {});
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw malformed(join(directory, "tokenizer.json"), reason, cause);
  }
}

/**
 * transformers 5 replaces the post-processor where `tokenizer_config.json` says `add_bos_token` or `add_eos_token`
 * (TokenizersBackend.update_post_processor). One that adds nothing is replaced here as well: with it, the library
 * forgets the second text of a pair.
 */
function withBosAndEos(
  json: JsonObject,
  config: JsonObject,
  tokens: Readonly<Record<string, string>>,
  vocabulary: ReadonlyMap<string, number>,
): JsonObject {
  const settings = [config["add_bos_token"], config["add_eos_token"]];
  const own = json["post_processor"];
  const addsNothing = !isObject(own) || own["type"] === "ByteLevel";
  if (!addsNothing && !settings.some((setting) => typeof setting === "boolean")) return json;
  const [bos, eos] = (["bos_token", "eos_token"] as const).map((field, i) => {
    const content = settings[i] === true ? tokens[field] : undefined;
    return content !== undefined && vocabulary.has(content) ? content : undefined;
  });
  const around = (sequence: "A" | "B"): readonly JsonObject[] => {
    const type_id = sequence === "A" ? 0 : 1;
    const special = (id: string | undefined): readonly JsonObject[] =>
      id === undefined ? [] : [{ SpecialToken: { id, type_id } }];
    return [...special(bos), { Sequence: { id: sequence, type_id } }, ...special(eos)];
  };
  const named = [bos, eos].filter((token) => token !== undefined);
  const special_tokens = Object.fromEntries(
    named.map((id) => [id, { id, ids: [vocabulary.get(id) ?? 0], tokens: [id] }]),
  );
  const template = { type: "TemplateProcessing", single: around("A"), pair: [...around("A"), ...around("B")] };
  return { ...json, post_processor: { ...template, special_tokens } };
}

function jsonOf(files: ReadonlyMap<string, Uint8Array>, name: string, directory: string): JsonObject {
  const bytes = files.get(name);
  return bytes === undefined ? {} : parseJsonObject(bytes, join(directory, name));
}
