import { expect, test } from "vitest";
import { openTextTokenizer } from "../../../../../coordinator/evaluate/text/tokenizer.js";
import type { InputTensor } from "../../../../../coordinator/evaluate/types.js";
import { withTempDir } from "../../../../support/checkpoints.js";
import { jsonLines, modelGraphs, prepareInFolder, tokenizerFolder } from "../../../../support/prepare.js";

const decoder = modelGraphs(
  "decoder",
  {
    body: [["input_ids", "attention_mask"], ["hidden"]],
    head: [
      ["hidden", "targets"],
      ["logprobs", "best"],
    ],
  },
  { maxTokens: 12 },
);

const tokens = ({ data }: InputTensor): readonly number[] => [
  ...new Int32Array(data.buffer, data.byteOffset, data.length / 4),
];

test("a choice whose tokens the prompt takes in is refused: nothing is as likely as no token", async () => {
  await using folder = await withTempDir();
  // "the" is one token, so that "e" adds none to "th".
  const rows = [{ q: "Question: which one is right? Answer: th", c: ["e", "x"], a: 0 }];
  const task = '{kind: multiple_choice, data: d.jsonl, prompt: "{{q}}", choices: c, answer: a, delimiter: ""}';
  const prepared = prepareInFolder(folder.path, task, { "d.jsonl": jsonLines(rows) }, { graphs: decoder });
  await expect(prepared).rejects.toThrow(/d\.jsonl:1.*Choice 0 adds no token to the prompt.*"delimiter"/);
});

test.each(["left", "right"])("a prompt that is too long loses its %s end, the choice nothing", async (end) => {
  await using folder = await withTempDir();
  const tokenizer = await openTextTokenizer(tokenizerFolder());
  const prompt = "A tokenizer cuts text into tokens; every token has a row in the embedding.";
  const task = `{kind: multiple_choice, data: d.jsonl, prompt: "{{q}}", choices: c, answer: a, truncation: ${end}, batch: 1}`;
  const data = jsonLines([{ q: prompt, c: ["weights", "of two models"], a: 0 }]);
  const prepared = await prepareInFolder(folder.path, task, { "d.jsonl": data }, { graphs: decoder });
  const context = tokenizer.encode(prompt).ids;
  for (const [i, choice] of ["weights", "of two models"].entries()) {
    const continuation = tokenizer.encode(` ${choice}`).ids;
    const room = 12 + 1 - continuation.length;
    const kept = end === "left" ? context.slice(-room) : context.slice(0, room);
    const batches = await Promise.all([...prepared.batches.keys()].map((batch) => prepared.load(batch)));
    const fed = batches.map(({ inputs }) =>
      [...inputs].flatMap(([name, tensor]) => (name === "input_ids" ? tokens(tensor) : [])),
    );
    expect(fed, `choice ${i}`).toContainEqual([...kept, ...continuation].slice(0, -1));
  }
});
