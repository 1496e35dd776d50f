import { expect, test } from "vitest";
import type { Prepared } from "../../../../../coordinator/evaluate/kinds/context.js";
import type { BatchOutput } from "../../../../../coordinator/evaluate/types.js";
import type { ModelGraphs } from "../../../../../coordinator/graphs/types.js";
import { withTempDir } from "../../../../support/checkpoints.js";
import { jsonLines, modelGraphs, prepareInFolder } from "../../../../support/prepare.js";

const text = ["input_ids", "attention_mask"];
const classifier = modelGraphs("classifier", { body: [text, ["logits"]] }, { labels: ["no", "yes"] });
const encoder = modelGraphs("encoder", { body: [text, ["vectors"]] });

/** What the model answers when it counts tokens: [n, -n] for a text of n tokens, batch by batch. */
async function count(prepared: Prepared): Promise<readonly BatchOutput[]> {
  const outputs: BatchOutput[] = [];
  for (const i of prepared.batches.keys()) {
    const mask = (await prepared.load(i)).inputs.get("attention_mask");
    const [rows = 0, time = 0] = mask?.shape ?? [];
    const { buffer, byteOffset, length } = mask?.data ?? new Uint8Array();
    const flags = new Int32Array(buffer, byteOffset, length / 4);
    const values = Array.from({ length: rows }, (_, row) => {
      const tokens = flags.subarray(row * time, (row + 1) * time).reduce((sum, flag) => sum + flag, 0);
      return [tokens, -tokens];
    });
    outputs.push({ kind: "vectors", values: Float32Array.from(values.flat()), width: 2 });
  }
  return outputs;
}

async function answersTo(task: string, rows: readonly unknown[], graphs: ModelGraphs) {
  await using folder = await withTempDir();
  const prepared = await prepareInFolder(folder.path, task, { "d.jsonl": jsonLines(rows) }, { graphs });
  const answers = prepared.answers?.(await count(prepared));
  return { ...answers, firsts: [...(answers?.values ?? [])].filter((_, i) => i % 2 === 0) };
}

// Of unlike lengths, so that batches hold them in another order than the data.
const words = ["a b c d", "a", "a b c", "a b"];

test("logits come in the order of the examples, with their classes", async () => {
  const rows = words.map((s, i) => ({ s, label: i % 2 }));
  const task = '{kind: classification, data: d.jsonl, text: "{{s}}", label: label, batch: 2}';
  const { width, classes, rowsPerExample, firsts } = await answersTo(task, rows, classifier);
  expect([width, rowsPerExample, [...(classes ?? [])]]).toEqual([2, undefined, [0, 1, 0, 1]]);
  expect(firsts.map((tokens) => firsts.toSorted((a, b) => a - b).indexOf(tokens))).toEqual([3, 0, 2, 1]);
});

test("of pairs, the first texts come before all of the second", async () => {
  const rows = words.map((s, i) => ({ s, t: words[(i + 1) % words.length], score: i }));
  const task = '{kind: similarity, data: d.jsonl, first: "{{s}}", second: "{{t}}", score: score, batch: 3}';
  const { rowsPerExample, classes, firsts } = await answersTo(task, rows, encoder);
  expect([rowsPerExample, classes]).toEqual([2, undefined]);
  const [first, second] = [firsts.slice(0, 4), firsts.slice(4)];
  expect(second).toEqual([...first.slice(1), first[0]]);
  expect(new Set(first).size).toBe(4);
});
