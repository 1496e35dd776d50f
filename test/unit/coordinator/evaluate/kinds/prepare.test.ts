import { describe, expect, test } from "vitest";
import type { Prepared } from "../../../../../coordinator/evaluate/kinds/context.js";
import { openTextTokenizer } from "../../../../../coordinator/evaluate/text/tokenizer.js";
import type { BatchOutput, InputTensor } from "../../../../../coordinator/evaluate/types.js";
import { withTempDir } from "../../../../support/checkpoints.js";
import { jsonLines, modelGraphs, prepareInFolder, tokenizerFolder } from "../../../../support/prepare.js";

const text = ["input_ids", "attention_mask"];
const decoder = modelGraphs("decoder", {
  body: [text, ["hidden"]],
  head: [
    ["hidden", "targets"],
    ["logprobs", "best"],
  ],
  step: [text, ["hidden"]],
});
const classifier = modelGraphs("classifier", { body: [text, ["logits"]] }, { labels: ["no", "maybe", "yes"] });
const encoder = modelGraphs("encoder", { body: [text, ["vectors"]] });
const clip = modelGraphs("image-text", { text: [text, ["vectors"]], image: [["pixel_values"], ["vectors"]] });

/** Answers every batch as `answer` says, which sees the tokens of each example without its padding. */
async function answerAll(
  prepared: Prepared,
  answer: (rows: readonly (readonly number[])[], batch: Awaited<ReturnType<Prepared["load"]>>) => BatchOutput,
): Promise<readonly BatchOutput[]> {
  const outputs: BatchOutput[] = [];
  for (const i of prepared.batches.keys()) {
    const batch = await prepared.load(i);
    outputs.push(answer(tokensOf(batch.inputs), batch));
  }
  return outputs;
}

function tokensOf(inputs: ReadonlyMap<string, InputTensor>): readonly (readonly number[])[] {
  const [ids, mask] = text.map((name) => numbersOf(inputs.get(name)));
  const [rows = 0, time = 0] = inputs.get("input_ids")?.shape ?? [];
  return Array.from({ length: rows }, (_, row) => {
    const own = (ids ?? []).slice(row * time, (row + 1) * time);
    return own.filter((_, i) => mask?.[row * time + i] === 1);
  });
}

function numbersOf(tensor: InputTensor | undefined): readonly number[] {
  const { buffer, byteOffset, length } = tensor?.data ?? new Uint8Array();
  return [...new Int32Array(buffer, byteOffset, length / 4)];
}

function vectors(rows: readonly (readonly number[])[]): BatchOutput {
  return { kind: "vectors", values: Float32Array.from(rows.flat()), width: rows[0]?.length ?? 0 };
}

describe("classification", () => {
  const rows = [
    { s: "a much longer text than all others", label: "yes" },
    { s: "b", label: 0 },
    { s: "a b", label: "1" },
  ];
  const task = '{kind: classification, data: d.jsonl, text: "{{s}}", label: label, batch: 2}';

  test("finds each example's answer again, whatever the order of the batches", async () => {
    await using folder = await withTempDir();
    const prepared = await prepareInFolder(folder.path, task, { "d.jsonl": jsonLines(rows) }, { graphs: classifier });
    // The longest text is "yes", the middle one "maybe", the shortest "no": by length alone.
    const outputs = await answerAll(prepared, (texts) =>
      vectors(texts.map(({ length }) => [length < 2 ? 3 : 0, length === 3 ? 3 : 0, length > 4 ? 3 : 0])),
    );
    const records = await prepared.finish(outputs);
    expect(records.map(({ id, prediction, answer }) => [id, prediction, answer])).toEqual([
      ["0", "yes", "yes"],
      ["1", "no", "no"],
      ["2", "maybe", "maybe"],
    ]);
    // Three logits 3, 0, 0: p = e³ / (e³ + 2).
    const p = Math.exp(3) / (Math.exp(3) + 2);
    const entropy = -p * Math.log(p) - (1 - p) * Math.log((1 - p) / 2);
    expect(records[0]?.scores).toMatchObject({ acc: 1, margin: 3 });
    expect(records[0]?.scores["logprob"]).toBeCloseTo(Math.log(p), 12);
    expect(records[0]?.scores["entropy"]).toBeCloseTo(entropy, 12);
    expect(prepared.metrics.map(({ name, of }) => [name, of(records)])[0]).toEqual(["acc", 1]);
  });

  test("has a digest that data and settings decide, not where they lie", async () => {
    const digests: string[] = [];
    for (const change of [{}, {}, { s: "other" }, { label: "no" }]) {
      await using folder = await withTempDir();
      const data = jsonLines([{ ...rows[0], ...change }, ...rows.slice(1)]);
      digests.push((await prepareInFolder(folder.path, task, { "d.jsonl": data }, { graphs: classifier })).digest);
    }
    expect(digests[0]).toBe(digests[1]);
    expect(new Set(digests).size).toBe(3);
  });

  test.each([
    ["a name that no class has", { s: "x", label: "mabye" }, /d\.jsonl:1.*"mabye".*did you mean "maybe"/],
    ["a number that no class has", { s: "x", label: 3 }, /d\.jsonl:1.*Class 3 is not one of the 3/],
    ["a text without tokens", { s: "", label: 0 }, /d\.jsonl:1.*empty/],
  ])("refuses %s", async (_, row, message) => {
    await using folder = await withTempDir();
    const prepared = prepareInFolder(folder.path, task, { "d.jsonl": jsonLines([row]) }, { graphs: classifier });
    await expect(prepared).rejects.toThrow(message);
  });
});

test.each([
  [
    "perplexity",
    '{kind: perplexity, data: d.jsonl, text: "{{s}}"}',
    classifier,
    /"perplexity" needs a model that predicts/,
  ],
  [
    "generation",
    '{kind: generation, data: d.jsonl, prompt: "{{s}}", answer: s}',
    encoder,
    /"generation" needs a model that gen/,
  ],
  ["classification", '{kind: classification, data: d.jsonl, text: "{{s}}", label: s}', decoder, /needs a classifier/],
  [
    "classification",
    '{kind: classification, data: d.jsonl, text: "{{s}}", label: s}',
    clip,
    /"prompts" for its classes/,
  ],
  [
    "similarity",
    '{kind: similarity, data: d.jsonl, first: "{{s}}", second: "{{s}}", score: s}',
    classifier,
    /that embeds texts/,
  ],
])("%s says what model it needs", async (_, task, graphs, message) => {
  await using folder = await withTempDir();
  const prepared = prepareInFolder(folder.path, task, { "d.jsonl": jsonLines([{ s: "a" }]) }, { graphs });
  await expect(prepared).rejects.toMatchObject({
    code: "checkpoint_mismatch",
    message: expect.stringMatching(message),
  });
});

test("multiple choice sums the log-probability of each choice's tokens", async () => {
  await using folder = await withTempDir();
  const rows = [
    { q: "Question: which?\nAnswer:", c: ["the second", "b"], a: "A" },
    { q: "Two", c: ["models", "words of one", "x"], a: 2 },
  ];
  const task = '{kind: multiple_choice, data: d.jsonl, prompt: "{{q}}", choices: c, answer: a, batch: 2}';
  const prepared = await prepareInFolder(folder.path, task, { "d.jsonl": jsonLines(rows) }, { graphs: decoder });
  // A token is as likely as its number says, so that every sum is that of the choice's numbers.
  const outputs = await answerAll(prepared, (texts, { targets, inputs }) => {
    const { rows = [], tokens = [] } = targets ?? {};
    const time = inputs.get("input_ids")?.shape[1] ?? 1;
    for (const [i, row] of rows.entries()) {
      // What follows a row in the fed tokens is its target, but for each example's last.
      const next = texts[Math.floor(row / time)]?.[(row % time) + 1];
      if (next !== undefined) expect(next).toBe(tokens[i]);
    }
    const logprobs = Float32Array.from(tokens, (token) => -token);
    return { kind: "likelihood", logprobs, greedy: new Uint8Array(logprobs.length) };
  });
  const tokenizer = await openTextTokenizer(tokenizerFolder());
  const sumOf = (choice: string) => tokenizer.encode(` ${choice}`).ids.reduce((sum, id) => sum - id, 0);
  const records = await prepared.finish(outputs);
  expect(records.map(({ scores }) => scores["logprob"])).toEqual([sumOf("the second"), sumOf("x")]);
  expect(records.map(({ answer }) => answer)).toEqual([0, 2]);
});

test("perplexity counts every token once, over windows of any size", async () => {
  await using folder = await withTempDir();
  const long = "The merge of two models is a weighted sum of their weights. ".repeat(4);
  const files = { "d.jsonl": jsonLines([{ s: long }, { s: "short" }, { s: "" }]) };
  const results: unknown[] = [];
  for (const sizes of ["window: 7", "window: 9, stride: 2", "window: 32, stride: 1"]) {
    const task = `{kind: perplexity, data: d.jsonl, text: "{{s}}", ${sizes}}`;
    const prepared = await prepareInFolder(folder.path, task, files, { graphs: decoder });
    const outputs = await answerAll(prepared, (_, { targets }) => {
      const logprobs = Float32Array.from(targets?.tokens ?? [], (token) => -token);
      return { kind: "likelihood", logprobs, greedy: new Uint8Array(logprobs.length) };
    });
    const records = await prepared.finish(outputs);
    results.push(records);
    const [words] = prepared.metrics;
    const logprob = records.reduce((sum, { scores }) => sum + (scores["logprob"] ?? 0), 0);
    const count = records.reduce((sum, { scores }) => sum + (scores["words"] ?? 0), 0);
    expect(words?.of(records)).toBeCloseTo(Math.exp(-logprob / count), 9);
  }
  expect(results[1]).toEqual(results[0]);
  expect(results[2]).toEqual(results[0]);
});

test("generation cuts, extracts and compares what was written", async () => {
  await using folder = await withTempDir();
  const task =
    "{kind: generation, data: d.jsonl, prompt: '{{q}}', answer: a, max_new_tokens: 8, until: ['Question'], extract: '(\\d+)', ignore_case: true}";
  const rows = [
    { q: "a longer question than that", a: ["7", "8"] },
    { q: "b", a: "3" },
  ];
  const prepared = await prepareInFolder(folder.path, task, { "d.jsonl": jsonLines(rows) }, { graphs: decoder });
  const batch = await prepared.load(0);
  // On the left, so that the last column is each prompt's end.
  const [first, time] = [numbersOf(batch.inputs.get("attention_mask")), batch.inputs.get("input_ids")?.shape[1] ?? 0];
  expect([first[time - 1], first[2 * time - 1], first[time]]).toEqual([1, 1, 0]);

  const tokenizer = await openTextTokenizer(tokenizerFolder());
  const write = (written: string) => Uint32Array.from(tokenizer.encode(written).ids);
  const tokens = [write("it is 8, not 9\nQuestion 7"), write("none Question: 3")];
  const records = await prepared.finish([{ kind: "generation", tokens }]);
  expect(records.map(({ prediction, scores }) => [prediction, scores["exact_match"]])).toEqual([
    ["8", 1],
    [null, 0],
  ]);
});

test("similarity and retrieval compare vectors of the right texts", async () => {
  await using folder = await withTempDir();
  // A text's vector points where its number of tokens says.
  const point = (texts: readonly (readonly number[])[]) =>
    vectors(texts.map(({ length }) => [Math.cos(length / 50), Math.sin(length / 50)]));
  const words = (count: number) => "x".repeat(count);
  const sts = await prepareInFolder(
    folder.path,
    "{kind: similarity, data: d.jsonl, first: '{{a}}', second: '{{b}}', score: s, batch: 3}",
    { "d.jsonl": jsonLines([1, 5, 3].map((n, i) => ({ a: words(2), b: words(2 + n), s: [9, 1, 5][i] }))) },
    { graphs: encoder },
  );
  const pairs = await sts.finish(await answerAll(sts, point));
  expect(sts.metrics.map(({ name, of }) => [name, of(pairs)])[0]).toEqual(["spearman", 1]);

  const retrieval = await prepareInFolder(
    folder.path,
    "{kind: retrieval, corpus: {data: c.jsonl, id: i, text: '{{t}}'}, queries: {data: q.jsonl, id: i, text: '{{t}}'}, relevance: {data: r.tsv, query: q, document: d, score: s}, at: 2, batch: 2}",
    {
      "c.jsonl": jsonLines([1, 4, 9, 16].map((n) => ({ i: `d${n}`, t: words(n) }))),
      "q.jsonl": jsonLines([4, 12].map((n) => ({ i: `q${n}`, t: words(n) }))),
      "r.tsv": "q\td\ts\nq4\td4\t2\nq4\td9\t1\nq12\td16\t1\n",
    },
    { graphs: encoder },
  );
  const records = await retrieval.finish(await answerAll(retrieval, point));
  expect(records.map(({ prediction }) => prediction)).toEqual([
    ["d4", "d1"],
    ["d9", "d16"],
  ]);
  expect(records.map(({ scores }) => scores["mrr"])).toEqual([1, 0.5]);
  expect(records[0]?.scores["ndcg"]).toBeCloseTo(2 / (2 + 1 / Math.log2(3)), 12);
  expect(retrieval.metrics.map(({ name }) => name)).toEqual(["ndcg@2", "recall@2", "mrr@2"]);
});
