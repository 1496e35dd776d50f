import { describe, expect, test } from "vitest";
import { type Message, renderChat } from "../../../coordinator/evaluate/text/chat.js";
import { openTextTokenizer } from "../../../coordinator/evaluate/text/tokenizer.js";
import { encodeWithin } from "../../../coordinator/evaluate/text/truncate.js";
import { tokenizerFolder } from "../../support/prepare.js";
import { readGoldens } from "./goldens.js";

type Ids = readonly number[];

interface TextGoldens {
  readonly texts: readonly string[];
  readonly pairs: readonly (readonly [string, string])[];
  readonly chats: readonly (readonly Message[])[];
  readonly tokenizers: Readonly<
    Record<
      string,
      {
        readonly ids: readonly Ids[];
        readonly bare: readonly Ids[];
        readonly pairs: readonly { readonly ids: Ids; readonly types: Ids }[];
        readonly decoded: readonly string[];
        readonly cut: readonly {
          readonly text: string;
          readonly pair: string | null;
          readonly side: "left" | "right";
          readonly most: number;
          readonly ids: Ids;
        }[];
        readonly size: number;
        readonly special: Readonly<Record<"bos" | "eos" | "pad", number | null>>;
        readonly chats: readonly string[];
      }
    >
  >;
}

const { texts, pairs, chats, tokenizers } = readGoldens<TextGoldens>("text");

describe.each(Object.entries(tokenizers))("transformers with tokenizer %s", async (name, golden) => {
  const tokenizer = await openTextTokenizer(tokenizerFolder(name));

  test("gives a text the same numbers, with special tokens and without", () => {
    expect(texts.map((text) => tokenizer.encode(text).ids)).toEqual(golden.ids);
    expect(texts.map((text) => tokenizer.encode(text, { addSpecial: false }).ids)).toEqual(golden.bare);
  });

  test("tells the two texts of a pair apart in the same way", () => {
    expect(pairs.map(([text, pair]) => tokenizer.encode(text, { pair }))).toEqual(golden.pairs);
  });

  test("makes the same text of numbers", () => {
    expect(golden.ids.map((ids) => tokenizer.decode(ids))).toEqual(golden.decoded);
  });

  test("cuts the same tokens off long texts and pairs", () => {
    for (const { text, pair, side, most, ids } of golden.cut) {
      const options = { pair: pair ?? undefined, maxTokens: most, truncation: side };
      const shown = { text, pair, side, most };
      expect({ ...shown, ids: encodeWithin(tokenizer, text, options).ids }).toEqual({ ...shown, ids });
    }
  });

  test("has the same special tokens and as many tokens", () => {
    const { bos = null, eos = null, pad = null, size } = tokenizer;
    expect({ special: { bos, eos, pad }, size }).toEqual({ special: golden.special, size: golden.size });
  });

  test("writes the same chats, or says that there is no template", () => {
    const write = () => chats.map((messages) => renderChat(tokenizer, messages));
    if (golden.chats.length === 0) expect(write).toThrow(`${name}": it has no chat template`);
    else expect(write()).toEqual(golden.chats);
  });
});
