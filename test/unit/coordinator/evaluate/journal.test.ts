import { appendFile, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { EvaluationJournal, journalName } from "../../../../coordinator/evaluate/journal.js";
import type { BatchOutput } from "../../../../coordinator/evaluate/types.js";
import { withTempDir } from "../../../support/checkpoints.js";

const outputs: readonly BatchOutput[] = [
  { kind: "vectors", width: 2, values: Float32Array.of(1.5, Number.NaN, -0, Number.NEGATIVE_INFINITY) },
  { kind: "likelihood", logprobs: Float32Array.of(-1e-30, -12.25, 0), greedy: Uint8Array.of(1, 0, 1) },
  { kind: "likelihood", logprobs: new Float32Array(), greedy: new Uint8Array() },
  { kind: "generation", tokens: [Uint32Array.of(1, 70_000), new Uint32Array()] },
];

async function fill(folder: string): Promise<void> {
  await using journal = await EvaluationJournal.open(folder);
  for (const [batch, output] of outputs.entries()) journal.add("key", batch, output);
  await journal.settled();
}

test("a journal gives back every answer, bit for bit, to those who open it again", async () => {
  await using folder = await withTempDir();
  await fill(folder.path);
  await using journal = await EvaluationJournal.open(folder.path);
  for (const [batch, output] of outputs.entries()) expect(journal.find("key", batch)).toStrictEqual(output);
});

test("a journal finds nothing under another key, for another batch, or before it is opened again", async () => {
  await using folder = await withTempDir();
  await fill(folder.path);
  await using journal = await EvaluationJournal.open(folder.path);
  expect(journal.find("other", 0)).toBeUndefined();
  expect(journal.find("key", 4)).toBeUndefined();
});

test("a journal that nothing was added to leaves no file", async () => {
  await using folder = await withTempDir();
  {
    await using journal = await EvaluationJournal.open(folder.path);
    await journal.remove();
  }
  expect(await readdir(folder.path)).toEqual([]);
});

test("remove() takes the file away", async () => {
  await using folder = await withTempDir();
  await fill(folder.path);
  await using journal = await EvaluationJournal.open(folder.path);
  await journal.remove();
  expect(await readdir(folder.path)).toEqual([]);
});

test("a torn last line is not found, and what is added after it is", async () => {
  await using folder = await withTempDir();
  await fill(folder.path);
  const path = join(folder.path, journalName);
  const text = await readFile(path, "utf8");
  await writeFile(path, text.slice(0, -20));
  {
    await using journal = await EvaluationJournal.open(folder.path);
    expect(journal.find("key", 2)).toBeDefined();
    expect(journal.find("key", 3)).toBeUndefined();
    const [first] = outputs;
    if (first !== undefined) journal.add("key", 7, first);
  }
  await using again = await EvaluationJournal.open(folder.path);
  expect(again.find("key", 7)).toStrictEqual(outputs[0]);
});

test("a line that is not what was written is not found", async () => {
  await using folder = await withTempDir();
  await fill(folder.path);
  const path = join(folder.path, journalName);
  const text = await readFile(path, "utf8");
  await writeFile(path, text.replace('"batch":1', '"batch":5').replace('"width":2', '"width":4'));
  await appendFile(path, '\n{"key":"key","batch":9,"kind":"vectors","data":[1]}\nnot JSON\n[]\n');
  await using journal = await EvaluationJournal.open(folder.path);
  for (const batch of [0, 1, 5, 9]) expect(journal.find("key", batch)).toBeUndefined();
  expect(journal.find("key", 3)).toStrictEqual(outputs[3]);
});

test("a folder that is none is refused by its name", async () => {
  await using folder = await withTempDir();
  await writeFile(join(folder.path, "file"), "");
  await expect(EvaluationJournal.open(join(folder.path, "file"))).rejects.toMatchObject({
    code: "output_refused",
    message: expect.stringContaining(`Cannot keep answers in "${join(folder.path, "file", journalName)}"`),
  });
});
