import { expect, test } from "vitest";
import { openTextTokenizer } from "../../../../../coordinator/evaluate/text/tokenizer.js";
import { tokenizerFolder } from "../../../../support/prepare.js";

test("a text with more tokens than can be cut at once is refused by name, not by a stack that overflows", async () => {
  const tokenizer = await openTextTokenizer(tokenizerFolder("unigram"));
  expect(() => tokenizer.encode("The models merge. ".repeat(30_000))).toThrow(
    /^Cannot cut a text of 540,000 characters that begins "The models merge\..*make several rows of it$/,
  );
});
