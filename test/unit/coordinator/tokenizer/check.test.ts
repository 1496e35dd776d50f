import { expect, test } from "vitest";
import { checkTokenizer } from "../../../../coordinator/tokenizer/check.js";
import { encodings, fixture, tokenizer } from "./models.js";

function files(name: string, edit: (json: Record<string, unknown>) => void = () => undefined) {
  const json = JSON.parse(fixture(`${name}.json`).toString()) as Record<string, unknown>;
  edit(json);
  return new Map([["tokenizer.json", Buffer.from(JSON.stringify(json))]]);
}

test.each(Object.keys(encodings.ids))("%s is as it should be", (name) => {
  const tokens = tokenizer(name).vocabulary.size;
  expect(checkTokenizer(files(name), { tokens })).toEqual({ problems: [], notEncoded: undefined });
});

test("numbers that no row has are found", () => {
  const { problems } = checkTokenizer(files("english"), { tokens: 299 }, ["the merge of models<|end|>", "xyz"]);
  expect(problems[0]).toMatch(/^Tokens have numbers beyond 299: .*"<\|end\|>"$/);
  expect(problems[1]).toBe('Text "the merge of models<|end|>" is encoded with numbers that no row has: 300');
  expect(problems).toHaveLength(2);
});

test("an added token that another one cuts apart is found", () => {
  const normalized = { single_word: false, lstrip: false, rstrip: false, normalized: true, special: true };
  const { problems } = checkTokenizer(
    files("english", (json) => {
      json["normalizer"] = { type: "Lowercase" };
      const added = json["added_tokens"] as object[];
      added.push({ id: 301, content: "a<|end|>", ...normalized });
    }),
    { tokens: 302 },
    [],
  );
  // The library looks for tokens that are not normalised first.
  expect(problems).toEqual(['Added tokens are not encoded as themselves: "a<|end|>"']);
});

test("a part that the library does not know is no problem of the tokenizer", () => {
  const unknown = files("english", (json) => {
    json["normalizer"] = { type: "Nmt" };
  });
  expect(checkTokenizer(unknown, { tokens: 301 })).toEqual({
    problems: [],
    notEncoded: "Unknown Normalizer type: Nmt",
  });
});

test("an output without a tokenizer.json is a problem", () => {
  expect(checkTokenizer(new Map(), { tokens: 1 }).problems).toEqual(['The output has no "tokenizer.json"']);
});
