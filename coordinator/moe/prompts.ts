import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { isObject, parseJsonObject } from "../tokenizer/json.js";
import type { OpenTokenizer } from "../tokenizer/open.js";
import { contentOf } from "../tokenizer/special-tokens.js";
import type { TokenizerFile } from "../tokenizer/tokenizer-file.js";

/** How often each token occurs, by its number. */
export type TokenCounts = ReadonlyMap<number, number>;

/**
 * Encodes prompts as mergekit-moe does: behind the token that begins a text, where the tokenizer has one, and without
 * what its post-processor would add.
 */
export class PromptEncoder {
  readonly #tokenizer: Tokenizer;
  readonly #begin: string;
  /** Stands in for what the vocabulary does not have. */
  readonly #unknown: number | undefined;

  /** @throws AmalgamError `usage` for a tokenizer without `tokenizer.json`, or with parts that are not known */
  constructor(opened: OpenTokenizer | undefined, model: string) {
    const whole = opened?.tokenizer;
    if (opened === undefined || whole === undefined) {
      const found = opened?.olderForm === undefined ? "no tokenizer" : `only ${quote(opened.olderForm)}`;
      throw unusable(model, `beside it is ${found}, and prompts are encoded with "tokenizer.json"`);
    }
    const none = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
    try {
      this.#tokenizer = new Tokenizer({ ...none, ...whole.json, added_tokens: opened.added }, {});
      this.#tokenizer.encode("a");
    } catch (error) {
      throw unusable(model, error instanceof Error ? error.message : String(error));
    }
    this.#begin = beginOfText(opened) ?? "";
    this.#unknown = unknownToken(whole);
  }

  /** A prompt's tokens, in order. */
  encode(prompt: string): readonly number[] {
    // The library's types do not tell that what the vocabulary lacks may come as undefined.
    const ids: readonly (number | undefined)[] = this.#tokenizer.encode(this.#begin + prompt, {
      add_special_tokens: false,
    }).ids;
    return ids.map((id) => id ?? this.#unknown).filter((id) => id !== undefined);
  }

  count(prompts: readonly string[]): TokenCounts {
    const counts = new Map<number, number>();
    for (const id of prompts.flatMap((prompt) => this.encode(prompt))) counts.set(id, (counts.get(id) ?? 0) + 1);
    return new Map([...counts].sort(([a], [b]) => a - b));
  }
}

/** Without such a token, unknown text is left out. */
function unknownToken({ json, vocabulary }: TokenizerFile): number | undefined {
  const unknown = isObject(json["model"]) ? json["model"]["unk_token"] : undefined;
  return typeof unknown === "string" ? vocabulary.get(unknown) : undefined;
}

/** The token that begins a text, as transformers finds it. */
function beginOfText({ files, directory }: OpenTokenizer): string | undefined {
  for (const name of ["tokenizer_config.json", "special_tokens_map.json"]) {
    const bytes = files.get(name);
    const token = bytes && parseJsonObject(bytes, join(directory, name))["bos_token"];
    if (token !== undefined) return contentOf(token);
  }
  return undefined;
}

function unusable(model: string, problem: string): AmalgamError {
  return new AmalgamError("usage", `Cannot encode prompts with the tokenizer of ${quote(model)}: ${problem}`);
}
