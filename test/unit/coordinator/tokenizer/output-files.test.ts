import { expect, test } from "vitest";
import type { VocabularyModel } from "../../../../coordinator/tokenizer/types.js";
import { models, plan, setting, tokenizer } from "./models.js";

/** The models, the first with further files beside its tokenizer.json. */
function withFiles(names: readonly string[], files: Readonly<Record<string, object>>): readonly VocabularyModel[] {
  return models(names).map((model) =>
    model.model === 0 ? { ...model, tokenizer: tokenizer(model.name, files) } : model,
  );
}

function written(of: readonly VocabularyModel[], name: string, source = "union"): unknown {
  return JSON.parse(Buffer.from(plan(setting(source), of).files.get(name) ?? []).toString());
}

const flags = { lstrip: false, normalized: false, rstrip: false, single_word: false, special: true };

test("files are the donor's bytes where nothing changes", () => {
  const of = withFiles(["base", "base"], { "tokenizer_config.json": { eos_token: "</s>" } });
  expect(plan(setting("union"), of).files).toBe(of[0]?.tokenizer?.files);
});

test("added tokens are written into every file that has them", () => {
  const of = withFiles(["base", "chatml"], {
    "tokenizer_config.json": { added_tokens_decoder: { "0": { content: "<unk>", ...flags } }, model_max_length: 2048 },
    "special_tokens_map.json": { eos_token: "</s>" },
    "added_tokens.json": {},
  });
  const decoder = ["<unk>", "<s>", "</s>"].map((content, id) => [String(id), { content, ...flags }]);
  const added = { "64": { content: "<|im_start|>", ...flags }, "65": { content: "<|im_end|>", ...flags } };
  expect(written(of, "tokenizer_config.json")).toEqual({
    added_tokens_decoder: { ...Object.fromEntries(decoder), ...added },
    model_max_length: 2048,
  });
  expect(written(of, "special_tokens_map.json")).toEqual({ eos_token: "</s>" });
  expect(written(of, "added_tokens.json")).toEqual({ "<|im_start|>": 64, "<|im_end|>": 65 });
});

test("tokens that are left out are named nowhere, since loaders would add them again", () => {
  const of = withFiles(["unused", "base"], {
    "tokenizer_config.json": {
      pad_token: "<UNUSED_0>",
      eos_token: "</s>",
      additional_special_tokens: ["<UNUSED_1>", "<s>"],
    },
    "special_tokens_map.json": { pad_token: { content: "<UNUSED_0>" }, bos_token: "<s>" },
    "added_tokens.json": { "<UNUSED_0>": 64 },
  });
  expect(written(of, "tokenizer_config.json")).toEqual({ eos_token: "</s>", additional_special_tokens: ["<s>"] });
  expect(written(of, "special_tokens_map.json")).toEqual({ bos_token: "<s>" });
  expect(written(of, "added_tokens.json")).toEqual({});
  expect(plan(setting("union"), of).warnings).toContain(
    'The output names no special tokens "<UNUSED_0>" any more, since they have no rows',
  );
});

test.each([
  ["stay where only added tokens are new", ["base", "chatml"], ["tekken.json"]],
  [
    "are outdated where parts of text are new",
    ["base", "other-words"],
    [
      "tokenizer.model",
      "vocab.json",
      "vocab.txt",
      "merges.txt",
      "spiece.model",
      "sentencepiece.bpe.model",
      "tekken.json",
    ],
  ],
])("older forms %s", (_, names, outdated) => {
  expect(plan(setting("union"), models(names)).outdated).toEqual(outdated);
});

test("merges keep the form in which the donor has them", () => {
  const json = JSON.parse(Buffer.from(tokenizer("english").files.get("tokenizer.json") ?? []).toString()) as {
    model: { merges: string[][] };
  };
  const asText = { ...json, model: { ...json.model, merges: json.model.merges.map((merge) => merge.join(" ")) } };
  const [english, code] = models(["english", "code"]);
  if (english === undefined || code === undefined) throw new Error("two models are needed");
  const merges = (tokenizerOf: VocabularyModel): readonly unknown[] =>
    (written([tokenizerOf, code], "tokenizer.json") as { model: { merges: unknown[] } }).model.merges;
  const asPairs = merges(english);
  expect(asPairs.length).toBeGreaterThan(json.model.merges.length);
  expect(merges({ ...english, tokenizer: tokenizer("english", { "tokenizer.json": asText }) })).toEqual(
    asPairs.map((merge) => (merge as string[]).join(" ")),
  );
});

test("merges of a token that is left out go with it", () => {
  const [english] = models(["english"]);
  if (english === undefined) throw new Error("a model is needed");
  const { model } = written([{ ...english, rows: 290 }], "tokenizer.json", "base") as {
    model: { vocab: Record<string, number>; merges: [string, string][] };
  };
  expect(Object.keys(model.vocab)).toHaveLength(290);
  expect(model.merges.length).toBeGreaterThan(30);
  expect(model.merges.filter((merge) => [...merge, merge.join("")].some((token) => !(token in model.vocab)))).toEqual(
    [],
  );
});
