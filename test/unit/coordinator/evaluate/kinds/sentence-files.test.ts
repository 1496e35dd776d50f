import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readRows } from "../../../../../coordinator/evaluate/data/read-rows.js";
import { readProcessor } from "../../../../../coordinator/evaluate/images/processor.js";
import { prepareTask } from "../../../../../coordinator/evaluate/kinds/prepare.js";
import { longestSentence } from "../../../../../coordinator/evaluate/kinds/sentence-files.js";
import { parseTasks } from "../../../../../coordinator/evaluate/tasks/parse.js";
import { openTextTokenizer } from "../../../../../coordinator/evaluate/text/tokenizer.js";
import { withTempDir } from "../../../../support/checkpoints.js";
import { jsonLines, modelGraphs, tokenizerFolder } from "../../../../support/prepare.js";

const modules = JSON.stringify([{ type: "sentence_transformers.models.Transformer" }]);

// all-MiniLM-L6-v2 has 512 positions, and sentence-transformers shows it 256 tokens.
test.each([
  [
    "as new checkpoints have it",
    { "modules.json": modules, "sentence_bert_config.json": '{"max_seq_length": 256}' },
    256,
  ],
  ["as old ones have it", { "modules.json": modules, "sentence_roberta_config.json": '{"max_seq_length": 75}' }, 75],
  ["of no number", { "modules.json": modules, "sentence_bert_config.json": '{"max_seq_length": null}' }, undefined],
  ["of no file", { "modules.json": modules }, undefined],
  ["without modules", { "sentence_bert_config.json": '{"max_seq_length": 256}' }, undefined],
])("the longest sentence %s", async (_, files, longest) => {
  await using folder = await withTempDir();
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder.path, name), text);
  expect(await longestSentence(folder.path)).toBe(longest);
});

test.each([
  ["where sentence-transformers cuts them", "", 7],
  ["where the author says", ", max_tokens: 9", 9],
])("texts that are embedded are cut %s", async (_, more, longest) => {
  await using folder = await withTempDir();
  await cp(tokenizerFolder(), folder.path, { recursive: true });
  const sentence = "The merge of two models is a weighted sum of their weights.";
  const files = {
    "modules.json": modules,
    "sentence_bert_config.json": '{"max_seq_length": 7}',
    "d.jsonl": jsonLines([{ a: sentence, b: sentence, s: 1 }]),
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder.path, name), text);
  const yaml = `tasks:\n  t: {kind: similarity, data: d.jsonl, first: "{{a}}", second: "{{b}}", score: s${more}}\n`;
  const [task] = parseTasks(yaml, join(folder.path, "tasks.yaml"));
  if (task === undefined) throw new Error("The task file has no task");
  const prepared = await prepareTask(task, {
    directory: folder.path,
    config: {},
    graphs: () => modelGraphs("encoder", { body: [["input_ids", "attention_mask"], ["vectors"]] }),
    tokenizer: () => openTextTokenizer(folder.path),
    images: () => readProcessor(folder.path),
    readRows,
  });
  const { inputs } = await prepared.load(0);
  expect(inputs.get("input_ids")?.shape).toEqual([2, longest]);
});
