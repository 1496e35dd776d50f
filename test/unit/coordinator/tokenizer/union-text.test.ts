import { Tokenizer } from "@huggingface/tokenizers";
import { describe, expect, test } from "vitest";
import { checkTokenizer } from "../../../../coordinator/tokenizer/check.js";
import type { VocabularyPlan } from "../../../../coordinator/tokenizer/types.js";
import { encodings, fixture, models, plan, setting, tokensOf } from "./models.js";

function encoder(json: Uint8Array): Tokenizer {
  return new Tokenizer(JSON.parse(Buffer.from(json).toString()) as object, {});
}

function encode(
  json: Uint8Array,
  text: string,
): { readonly ids: readonly number[]; readonly tokens: readonly string[] } {
  return encoder(json).encode(text, { add_special_tokens: false });
}

function output({ files }: VocabularyPlan): Uint8Array {
  return files.get("tokenizer.json") ?? new Uint8Array();
}

test.each(Object.entries(encodings.ids))("%s is encoded as the tokenizers library does", (name, ids) => {
  expect(encodings.texts.map((text) => encode(fixture(`${name}.json`), text).ids)).toEqual(ids);
});

describe.each([
  ["english", "code", "throw new tokens"],
  ["llama-like", "llama-like-code", "return sum(w * m)"],
  ["word-piece", "word-piece-code", "throw new tokens"],
  ["unigram", "unigram-code", "throw new tokens"],
])("the union of %s and %s", (base, other, text) => {
  const planned = plan(setting("union"), models([base, other]));

  test("encodes what both know with the tokens of the one who learnt it", () => {
    const { tokens, ids } = encode(output(planned), text);
    const ofBase = encode(fixture(`${base}.json`), text).tokens;
    expect(tokens.length).toBeLessThan(ofBase.length);
    expect(ids).toEqual(tokens.map((token) => tokensOf(planned).get(token)));
  });

  test("has all tokens of both", () => {
    const tokens = tokensOf(planned);
    for (const { tokenizer } of models([base, other])) {
      expect([...(tokenizer?.vocabulary.keys() ?? [])].filter((token) => !tokens.has(token))).toEqual([]);
    }
  });

  test("passes the check", () => {
    expect(checkTokenizer(planned.files, planned)).toEqual({ problems: [], notEncoded: undefined });
  });
});

test.each([
  ["english", ["english", "english"]],
  ["base", ["base", "chatml", "unused"]],
  ["llama-like", ["llama-like", "llama-like"]],
  ["unigram", ["unigram", "unigram"]],
])("text is cut as %s cuts it where %j append nothing to it", (base, names) => {
  const planned = plan(setting("union"), models(names));
  for (const text of encodings.texts) {
    expect(encode(output(planned), text)).toEqual(encode(fixture(`${base}.json`), text));
  }
});

test("added tokens of another model are cut out of the text", () => {
  const planned = plan(setting("union"), models(["base", "chatml"]));
  const { tokens, ids } = encode(output(planned), "_tok_3<|im_end|>_tok_4");
  expect(tokens).toContain("<|im_end|>");
  expect(ids).toContain(65);
});

test("other alphabets are warned of", () => {
  const planned = plan(setting("union"), models(["english", "llama-like"]));
  expect(planned.warnings.at(-1)).toMatch(
    /^"english" and "llama-like" write their tokens in different alphabets, bytes and characters: text will not be cut into the \d+ tokens/,
  );
  expect(checkTokenizer(planned.files, planned).problems).toEqual([]);
});
