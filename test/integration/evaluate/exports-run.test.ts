import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { endingIn } from "../../../coordinator/evaluate/exports/ending.js";
import type { ExampleRecord } from "../../../coordinator/evaluate/types.js";
import { buildGraphs } from "../../../coordinator/graphs/families.js";
import { openCheckpoint } from "../../../shared/checkpoint/open.js";
import { type TestTensor, withTempDir, writeCheckpoint } from "../../support/checkpoints.js";
import { madeWeight } from "../../support/made-weights.js";
import { jsonLines } from "../../support/prepare.js";
import { repositoryPath } from "../../support/repository.js";
import { evaluateLocally, writeModel, writeTasks } from "./models.js";

// Whole evaluations by an ONNX export (--graph): the scores must be those of the graphs that are made from config.json.

let folder: Awaited<ReturnType<typeof withTempDir>>;
beforeAll(async () => {
  folder = await withTempDir();
});
afterAll(() => folder[Symbol.asyncDispose]());

type Scores = readonly Pick<ExampleRecord, "scores" | "prediction">[];

async function scoresOf(
  taskFile: string,
  checkpoint: string,
  graph?: { file: string; base: string | undefined },
): Promise<Scores> {
  const { models } = await evaluateLocally(taskFile, [checkpoint], graph === undefined ? {} : { graph });
  return models.flatMap(({ tasks }) => tasks.flatMap(({ records }) => records));
}

function expectSame(found: Scores, wanted: Scores): void {
  expect(found).toHaveLength(wanted.length);
  expect(wanted.length).toBeGreaterThan(0);
  for (const [i, { scores, prediction }] of found.entries()) {
    const same = wanted[i];
    if (typeof prediction !== "number") expect(prediction).toEqual(same?.prediction);
    expect(Object.keys(scores)).toEqual(Object.keys(same?.scores ?? {}));
    for (const [name, value] of Object.entries(scores)) expect(value, name).toBeCloseTo(same?.scores[name] ?? NaN, 4);
  }
}

test("an export that ends in hidden states is pooled, and its weights found by their names", async () => {
  const tasks = await writeTasks(join(folder.path, "texts"));
  const model = await writeModel(folder.path, "encoder", "encoder");
  const { config, tensors } = await openCheckpoint(model);
  const { body } = buildGraphs({ config, tensors, configFile: "config.json", output: "hidden" }).graphs;
  const file = join(folder.path, "encoder.onnx");
  await writeFile(file, endingIn(body?.model ?? new Uint8Array(), "hidden", "last_hidden_state"));
  const wanted = await scoresOf(tasks.encoder, model);
  expectSame(await scoresOf(tasks.encoder, model, { file, base: undefined }), wanted);
  // A base is not needed, and in nobody's way.
  expectSame(await scoresOf(tasks.encoder, model, { file, base: model }), wanted);
});

/** By test/conformance/exports/make_exports.py. */
const llama = {
  config: {
    ...{ model_type: "llama", architectures: ["LlamaForCausalLM"], vocab_size: 48, hidden_size: 24 },
    ...{ num_hidden_layers: 1, num_attention_heads: 4, num_key_value_heads: 2, head_dim: 6, intermediate_size: 32 },
    ...{
      max_position_embeddings: 16,
      rms_norm_eps: 1e-6,
      tie_word_embeddings: false,
      bos_token_id: 1,
      eos_token_id: 2,
    },
  },
  export: repositoryPath("test", "conformance", "exports", "llama-any-length.onnx"),
  golden: repositoryPath("test", "conformance", "exports", "llama.json"),
};

/** A decoder of the export's shapes, with weights made for its names with `prefix` in front, whose tokens are w0 to w47. */
async function writeDecoder(name: string, prefix: string): Promise<string> {
  const { shapes } = JSON.parse(readFileSync(llama.golden, "utf8")) as { shapes: Record<string, number[]> };
  const tensors = Object.entries(shapes).map(([tensor, shape]): [string, TestTensor] => {
    return [tensor, { dtype: "F32", shape, values: madeWeight(prefix + tensor, shape) }];
  });
  const path = await writeCheckpoint(join(folder.path, name), new Map(tensors), { config: llama.config });
  const vocab = Object.fromEntries(Array.from({ length: 48 }, (_, id) => [`w${id}`, id]));
  const tokenizer = {
    ...{ version: "1.0", truncation: null, padding: null, normalizer: null, post_processor: null, decoder: null },
    added_tokens: [1, 2].map((id) => {
      return {
        id,
        content: `w${id}`,
        special: true,
        lstrip: false,
        rstrip: false,
        normalized: false,
        single_word: false,
      };
    }),
    pre_tokenizer: { type: "WhitespaceSplit" },
    model: { type: "WordLevel", vocab, unk_token: "w0" },
  };
  await writeFile(join(path, "tokenizer.json"), JSON.stringify(tokenizer));
  await writeFile(join(path, "tokenizer_config.json"), JSON.stringify({ bos_token: "w1", eos_token: "w2" }));
  return path;
}

test("an export of a decoder, bound by value, predicts what our own graphs predict", async () => {
  const [base, other] = [await writeDecoder("base", ""), await writeDecoder("other", "other/")];
  const words = (seed: number, count: number): string =>
    Array.from({ length: count }, (_, i) => `w${3 + ((seed * 7 + i * 5) % 45)}`).join(" ");
  const rows = Array.from({ length: 6 }, (_, i) => {
    return { text: words(i, 4 + i), choices: [words(i + 1, 2), words(i + 2, 3)], answer: i % 2 };
  });
  await mkdir(join(folder.path, "words"), { recursive: true });
  await writeFile(join(folder.path, "words", "rows.jsonl"), jsonLines(rows));
  const taskFile = join(folder.path, "words", "tasks.yaml");
  await writeFile(
    taskFile,
    `tasks:
  texts: {kind: perplexity, data: rows.jsonl, text: "{{text}}", batch: 4}
  choices: {kind: multiple_choice, data: rows.jsonl, prompt: "{{text}}", choices: choices, answer: answer, batch: 4}
  prompts: {kind: generation, data: rows.jsonl, prompt: "{{text}}", answer: text, max_new_tokens: 4, batch: 3}
`,
  );
  const graph = { file: llama.export, base };
  for (const model of [base, other])
    expectSame(await scoresOf(taskFile, model, graph), await scoresOf(taskFile, model));
});

test("an export with its weights inside needs the checkpoint that it is of", async () => {
  const taskFile = join(folder.path, "words", "tasks.yaml");
  await expect(scoresOf(taskFile, join(folder.path, "other"), { file: llama.export, base: undefined })).rejects.toThrow(
    /its weights are inside.*--graph-base/s,
  );
});

test("an export for texts of one length is refused before anything runs", async () => {
  const taskFile = join(folder.path, "words", "tasks.yaml");
  const file = llama.export.replace("any-length", "torchscript");
  await expect(
    scoresOf(taskFile, join(folder.path, "other"), { file, base: join(folder.path, "base") }),
  ).rejects.toThrow(/its input "input_ids" is \[batch, 5\], of fixed size/);
});
