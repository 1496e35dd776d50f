import { describe, expect, test } from "vitest";
import { chosen } from "../../../coordinator/evaluate/kinds/multiple-choice.js";
import { type Continuation, encodePair } from "../../../coordinator/evaluate/text/continuation.js";
import { openTextTokenizer } from "../../../coordinator/evaluate/text/tokenizer.js";
import { countWords } from "../../../coordinator/evaluate/text/whitespace.js";
import { rollingWindows } from "../../../coordinator/evaluate/text/windows.js";
import { tokenizerFolder } from "../../support/prepare.js";
import { readGoldens } from "./goldens.js";

type Ids = readonly number[];

interface LikelihoodGoldens {
  readonly rolling: readonly {
    readonly length: number;
    readonly window: number;
    readonly stride: number;
    readonly windows: readonly (readonly [Ids, Ids])[];
  }[];
  readonly pairs: readonly {
    readonly tokenizer: string;
    readonly backend: "causal" | "seq2seq";
    readonly context: string;
    readonly continuation: string;
    readonly before: Ids;
    readonly after: Ids;
  }[];
  readonly words: readonly { readonly text: string; readonly count: number }[];
  readonly choices: readonly {
    readonly texts: readonly string[];
    readonly logprobs: readonly number[];
    readonly acc: number;
    readonly acc_norm: number;
    readonly acc_bytes: number;
  }[];
}

const { rolling, pairs, words, choices } = readGoldens<LikelihoodGoldens>("likelihood");

describe("lm-evaluation-harness", () => {
  test.each(rolling)(
    "cuts $length tokens into windows of $window that add $stride",
    ({ length, windows, ...sizes }) => {
      const tokens = Array.from({ length }, (_, i) => i);
      const wanted = windows.map(([context, continuation]): Continuation => ({ context, continuation }));
      expect(rollingWindows(tokens, { prefix: 99, ...sizes })).toEqual(wanted);
    },
  );

  test.each(pairs)("parts $context from $continuation with $tokenizer, $backend", async (golden) => {
    const tokenizer = await openTextTokenizer(tokenizerFolder(golden.tokenizer));
    const options = { prefix: undefined, isSeq2seq: golden.backend === "seq2seq" };
    const pair = encodePair(tokenizer, golden.context, golden.continuation, options);
    expect(pair).toEqual({ context: golden.before, continuation: golden.after });
  });

  test.each(words)("counts $count words in $text", ({ text, count }) => {
    expect(countWords(text)).toBe(count);
  });

  test.each(choices)("chooses among $texts by likelihood, per character and per byte", (golden) => {
    for (let answer = 0; answer < golden.texts.length; answer++) {
      const { acc, acc_norm, acc_bytes } = golden;
      const { scores, prediction } = chosen(golden.logprobs, golden.texts, answer);
      expect(prediction).toBe(acc);
      expect(scores).toMatchObject({
        acc: Number(acc === answer),
        acc_norm: Number(acc_norm === answer),
        acc_bytes: Number(acc_bytes === answer),
      });
    }
  });
});
