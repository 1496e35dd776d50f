import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openTokenizer } from "../../../../coordinator/tokenizer/open.js";
import { fixture, tokenizer } from "./models.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "amalgam-tokenizer-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function write(files: Readonly<Record<string, string | Buffer>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
}

test("a folder without a tokenizer has none", async () => {
  await write({ "config.json": "{}" });
  expect(await openTokenizer(folder)).toBeUndefined();
});

test("an older form alone is named", async () => {
  await write({ "tokenizer.model": "…", "tokenizer_config.json": '{ "chat_template": "{{ a }}" }' });
  const opened = await openTokenizer(folder);
  expect(opened).toMatchObject({ tokenizer: undefined, olderForm: "tokenizer.model", chatTemplate: "{{ a }}" });
});

test("a tokenizer.json is read with its added tokens", async () => {
  await write({ "tokenizer.json": fixture("chatml.json") });
  const opened = await openTokenizer(folder);
  expect(opened?.vocabulary.size).toBe(66);
  expect(opened?.vocabulary.get("<|im_end|>")).toBe(65);
  expect(opened?.added.map(({ content }) => content)).toEqual(["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]);
  expect(opened?.tokenizer).toMatchObject({ kind: "BPE", entries: 64, renumbered: 0 });
  expect(opened?.files.get("tokenizer.json")).toEqual(new Uint8Array(fixture("chatml.json")));
});

test("a link out of the folder is refused", async () => {
  await symlink("/etc/hostname", join(folder, "tokenizer_config.json"));
  await expect(openTokenizer(folder)).rejects.toMatchObject({ code: "path_refused" });
});

const valid = { type: "BPE", vocab: { a: 0 }, merges: [] };

test.each([
  ["{", "it is not JSON"],
  ["[]", "it is not a JSON object"],
  ["{}", 'it has no "model"'],
  [
    { model: { ...valid, type: "Magic" } },
    'its model is of type "Magic", not one of BPE, WordPiece, Unigram, WordLevel',
  ],
  [{ model: { ...valid, vocab: [] } }, 'its model has no "vocab"'],
  [{ model: { ...valid, vocab: { a: -1 } } }, 'token "a" has the number "-1"'],
  [{ model: { ...valid, vocab: { a: 1e9 } } }, 'token "a" has the number "1000000000"'],
  [{ model: { type: "Unigram", vocab: [["a"]] } }, "entry 0 of its vocabulary is not a token with a score"],
  [{ model: valid, added_tokens: {} }, '"added_tokens" is not a list'],
  [{ model: valid, added_tokens: [{ id: 1 }] }, "added token 1 has no content or no number"],
])("%j is refused", async (content, problem) => {
  await write({ "tokenizer.json": typeof content === "string" ? content : JSON.stringify(content) });
  const message = `Cannot read tokenizer "${join(folder, "tokenizer.json")}": ${problem}`;
  await expect(openTokenizer(folder)).rejects.toMatchObject({ code: "checkpoint_malformed", message });
});

describe("tokens that only loaders add", () => {
  test.each([
    ["by added_tokens_decoder", { "tokenizer_config.json": { added_tokens_decoder: { "64": { content: "<x>" } } } }],
    ["by added_tokens.json", { "added_tokens.json": { "<x>": 64 } }],
    ["as the token for padding", { "tokenizer_config.json": { pad_token: "<x>" } }],
    ["as an object", { "special_tokens_map.json": { pad_token: { content: "<x>" } } }],
    ["in a list", { "special_tokens_map.json": { additional_special_tokens: ["<s>", "<x>"] } }],
    ["in a list of the new name", { "tokenizer_config.json": { extra_special_tokens: { image: "<x>" } } }],
  ])("%s come after the others", (_, files) => {
    expect(tokenizer("base", files).vocabulary.get("<x>")).toBe(64);
    expect(tokenizer("base", files).vocabulary.size).toBe(65);
  });
});

test("added tokens have the numbers that the library gives them, and what the file says otherwise is counted", () => {
  const token = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const json = { model: { ...valid, vocab: { a: 0, b: 1, c: 4 } }, added_tokens: [] as object[] };
  json.added_tokens = [
    { ...token, id: 2, content: "X" },
    { ...token, id: 4, content: "c" },
    { ...token, id: 9, content: "Y" },
  ];
  const opened = tokenizer("base", { "tokenizer.json": json });
  expect(Object.fromEntries(opened.vocabulary)).toEqual({ a: 0, b: 1, c: 4, X: 3, Y: 4 });
  expect(opened.tokenizer?.renumbered).toBe(2);
});

test("a chat template of its own file wins, and the default one of several", () => {
  const several = {
    chat_template: [
      { name: "tools", template: "t" },
      { name: "default", template: "d" },
    ],
  };
  expect(tokenizer("base", { "tokenizer_config.json": several }).chatTemplate).toBe("d");
  expect(tokenizer("base", { "tokenizer_config.json": several, "chat_template.jinja": "j" }).chatTemplate).toBe("j");
});
