import { expect, test } from "vitest";
import type { TokenizerSetting } from "../../../../coordinator/recipe/recipe.js";
import type { VocabularyModel } from "../../../../coordinator/tokenizer/types.js";
import { models, plan, reference, setting } from "./models.js";

const zero = { kind: "zero" } as const;
const known = models(["base", "chatml"]);

function without(model: number, olderForm?: string): readonly VocabularyModel[] {
  const tokenizer =
    olderForm === undefined
      ? undefined
      : {
          directory: "folder",
          files: new Map(),
          tokenizer: undefined,
          olderForm,
          vocabulary: new Map(),
          added: [],
          chatTemplate: undefined,
        };
  return known.map((entry) => (entry.model === model ? { ...entry, tokenizer } : entry));
}

const howTo = "write one with transformers, AutoTokenizer.from_pretrained(model).save_pretrained(model)";

const refused: readonly (readonly [string, TokenizerSetting, readonly VocabularyModel[], string])[] = [
  [
    "an unknown source",
    setting("elsewhere"),
    known,
    '4:11  No tokenizer of "elsewhere" was read; the models of the merge are "base", "chatml"',
  ],
  ["a base without a tokenizer", setting("union"), without(0), `3:5  Model "base" has no "tokenizer.json": ${howTo}`],
  [
    "a tokenizer of an older form",
    setting("base"),
    without(1, "tokenizer.model"),
    `3:5  Model "chatml" has no "tokenizer.json", only "tokenizer.model": ${howTo}`,
  ],
  [
    "a negative padding",
    setting("base", {}, -8),
    known,
    "3:5  Cannot pad to a multiple of -8: it takes a whole number from 0 to 1,048,576",
  ],
  [
    "a vocabulary without rows",
    setting("base"),
    known.map((model) => ({ ...model, rows: 0 })),
    '4:11  No token of "base" has a row',
  ],
  [
    "a forced token without a source",
    setting("union", { "<s>": { source: undefined, force: true } }),
    known,
    '9:7  Token "<s>" needs a source: force needs to know whose row',
  ],
  [
    "a new token without a source",
    setting("union", { "<new>": { source: undefined, force: false } }),
    known,
    '9:7  Token "<new>" needs a source: no model has it',
  ],
  [
    "a row from a model that has no part",
    setting("union", { "<s>": { source: { kind: "model", model: reference("other") }, force: true } }),
    known,
    '3:5  Model "other" has no part in the merge; its models are "base", "chatml"',
  ],
  [
    "a row from a model that lacks the token",
    setting("union", { "<|im_end|>": { source: { kind: "model", model: reference("base") }, force: true } }),
    known,
    '3:5  Model "base" has no token "<|im_end|>", say which one to take with kind: model_token',
  ],
  [
    "a token that the named model lacks",
    setting("union", {
      new: { source: { kind: "model_token", model: reference("base"), token: "old" }, force: false },
    }),
    known,
    '9:7  Model "base" has no token "old"',
  ],
  [
    "a row beyond an embedding",
    setting("union", { new: { source: { kind: "model_token", model: reference("base"), token: 64 }, force: false } }),
    known,
    '9:7  Model "base" has no row 64: its embedding has 64 rows',
  ],
  [
    "a union of two kinds",
    setting("union", { "<s>": { source: zero, force: true } }),
    models(["word-piece", "unigram"]),
    'recipe.yaml:4:11  No union of "word-piece", whose tokenizer is WordPiece, and "unigram", whose is Unigram and has ',
  ],
];

test.each(refused)("%s is complained of", (_, wanted, of, message) => {
  expect(() => plan(wanted, of)).toThrow(message);
});

test("a union of two kinds is possible where nothing is to be appended", () => {
  const [unigram, wordPiece] = models(["unigram", "word-piece"]);
  if (unigram === undefined || wordPiece === undefined) throw new Error("two models are needed");
  expect(plan(setting("base"), [unigram, wordPiece]).tokens).toBe(unigram.rows);
});
