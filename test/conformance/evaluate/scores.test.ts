import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Batch, BatchOutput } from "../../../coordinator/evaluate/types.js";
import { buildGraphs } from "../../../coordinator/graphs/families.js";
import type { ModelGraphs } from "../../../coordinator/graphs/types.js";
import { openCheckpoint } from "../../../shared/checkpoint/open.js";
import { withTempDir, writeCheckpoint } from "../../support/checkpoints.js";
import { madeWeights } from "../../support/made-weights.js";
import { jsonLines, prepareInFolder } from "../../support/prepare.js";
import { type Feed, runGraph } from "../../support/run-graph.js";
import { readGoldens } from "./goldens.js";

interface ScoresGoldens {
  readonly config: object;
  readonly weights: Readonly<Record<string, readonly number[]>>;
  readonly questions: readonly { readonly logprobs: readonly number[] }[];
  readonly texts: readonly { readonly text: string; readonly logprob: number }[];
}

const { config, weights, questions, texts } = readGoldens<ScoresGoldens>("scores");

describe("a small decoder, in batches on ONNX Runtime", () => {
  let folder: Awaited<ReturnType<typeof withTempDir>>;
  let path: string;
  let graphs: ModelGraphs;
  beforeAll(async () => {
    folder = await withTempDir();
    path = await writeCheckpoint(`${folder.path}/model`, madeWeights(weights), { config });
    const { tensors } = await openCheckpoint(path);
    graphs = buildGraphs({ config, tensors, configFile: `${path}/config.json`, output: "hidden" });
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  /** Log-probability of the right answer, or of the text, for every example. */
  async function logprobsOf(task: string, rows: readonly unknown[]): Promise<readonly number[]> {
    const prepared = await prepareInFolder(folder.path, task, { "d.jsonl": jsonLines(rows) }, { graphs });
    const outputs: BatchOutput[] = [];
    for (const i of prepared.batches.keys()) outputs.push(await likelihoodOf(await prepared.load(i)));
    return (await prepared.finish(outputs)).map(({ scores }) => scores["logprob"] ?? Number.NaN);
  }

  async function likelihoodOf({ inputs, targets }: Batch): Promise<BatchOutput> {
    const feeds = [...inputs].map(([name, { shape, data }]): [string, Feed] => {
      return [name, { type: "I64", shape, values: [...new Int32Array(data.buffer)] }];
    });
    const { hidden } = await runGraph(graphs.graphs.body?.model ?? new Uint8Array(), path, Object.fromEntries(feeds));
    const width = hidden?.shape[2] ?? 0;
    const { rows = new Uint32Array(), tokens = new Uint32Array() } = targets ?? {};
    const chosen = [...rows].flatMap((row) =>
      [...(hidden?.values.slice(row * width, (row + 1) * width) ?? [])].map(Number),
    );
    const { logprobs } = await runGraph(graphs.graphs.head?.model ?? new Uint8Array(), path, {
      hidden: { type: "F32", shape: [rows.length, width], values: chosen },
      targets: { type: "I64", shape: [tokens.length], values: [...tokens] },
    });
    return {
      kind: "likelihood",
      logprobs: Float32Array.from(logprobs?.values ?? [], Number),
      greedy: new Uint8Array(),
    };
  }

  test.each([1, 2, 8])("gives choices transformers' likelihoods, %i at a time", async (batch) => {
    const most = Math.max(...questions.map(({ logprobs }) => logprobs.length));
    for (let choice = 0; choice < most; choice++) {
      const asked = questions.filter(({ logprobs }) => choice < logprobs.length);
      const rows = asked.map((question) => ({ ...question, a: choice }));
      const task = `{kind: multiple_choice, data: d.jsonl, prompt: "{{q}}", choices: c, answer: a, batch: ${batch}}`;
      const wanted = asked.map(({ logprobs }) => logprobs[choice] ?? Number.NaN);
      for (const [i, logprob] of (await logprobsOf(task, rows)).entries())
        expect(logprob).toBeCloseTo(wanted[i] ?? 0, 3);
    }
  });

  test.each([1, 8])("gives long texts transformers' likelihoods, %i windows at a time", async (batch) => {
    const task = `{kind: perplexity, data: d.jsonl, text: "{{text}}", batch: ${batch}}`;
    const found = await logprobsOf(task, texts);
    for (const [i, { logprob }] of texts.entries()) expect(found[i]).toBeCloseTo(logprob, 3);
  });
});
