import { readdirSync, readFileSync } from "node:fs";
import { expect } from "vitest";
import { decoderFamilies } from "../../coordinator/graphs/decoder/families.js";
import type { GraphRequest, ModelGraphs } from "../../coordinator/graphs/types.js";
import { repositoryPath } from "./repository.js";
import { type Feed, runGraph } from "./run-graph.js";

// What tests of decoders' graphs share: goldens by decoders.py, gpt2.py, moe.py and fp8.py, and running graphs as an agent does.

/** One case of decoders.py, which says what each field is. */
export interface DecoderCase {
  readonly name: string;
  readonly config: { readonly model_type: string };
  readonly weights: Readonly<Record<string, readonly number[]>>;
  readonly input_ids: readonly (readonly number[])[];
  readonly attention_mask: readonly (readonly number[])[];
  readonly hidden?: readonly number[];
  readonly logprobs?: readonly number[];
  readonly best?: readonly number[];
  readonly generated?: readonly (readonly number[])[];
  readonly logits?: readonly number[];
  readonly vectors?: readonly number[];
}

/** Measured: at most 5e-5 for Gemma 3 270M, whose embeddings are scaled, and 6e-6 for all others. */
const tolerance = 1e-4;

/** All cases in a folder of test/conformance/graphs, under titles for `test.each`. */
export function decoderCases(folder: string): { readonly title: string; readonly golden: DecoderCase }[] {
  const goldens = repositoryPath("test", "conformance", "graphs", folder);
  return readdirSync(goldens).flatMap((file) => {
    const { cases } = JSON.parse(readFileSync(`${goldens}/${file}`, "utf8")) as { cases: readonly DecoderCase[] };
    return cases.map((golden) => ({ title: `${golden.config.model_type}: ${golden.name}`, golden }));
  });
}

/** Expects of graphs, with the weights in the checkpoint at `path`, all that a golden holds. */
export async function expectGolden(model: ModelGraphs, path: string, golden: DecoderCase): Promise<void> {
  const inputs = inputsOf(golden.input_ids, golden.attention_mask);
  const { hidden, logits, vectors } = await runGraph(modelOf(model, "body"), path, inputs);
  if (golden.logits !== undefined) expectClose(logits?.values, golden.logits);
  if (golden.vectors !== undefined) expectClose(vectors?.values, golden.vectors);
  if (golden.hidden === undefined) return;

  const width = hidden?.shape[2] ?? 0;
  const places = golden.attention_mask.flatMap((mask, row) =>
    mask.flatMap((isToken, slot) => (isToken === 1 ? [{ row, slot, at: row * mask.length + slot }] : [])),
  );
  const isLast = (place: (typeof places)[number], i: number) => places[i + 1]?.row !== place.row;
  const rows = (wanted: typeof places) =>
    wanted.flatMap(({ at }) => Array.from((hidden?.values ?? []).slice(at * width, (at + 1) * width), Number));
  expectClose(rows(places.filter(isLast)), golden.hidden);

  const predicting = places.filter((place, i) => !isLast(place, i));
  if (predicting.length > 0) {
    const targets = predicting.map(({ row, slot }) => golden.input_ids[row]?.[slot + 1] ?? 0);
    const likely = await runHead(model, path, rows(predicting), targets);
    expectClose(likely.logprobs, golden.logprobs);
    expect(likely.best).toEqual(golden.best);
  }
  if (golden.generated !== undefined) expect(await generate(model, path, golden)).toEqual(golden.generated);
}

export function buildDecoder(golden: DecoderCase, provider: "any" | "cpu"): ModelGraphs {
  const family = decoderFamilies[golden.config.model_type];
  if (family === undefined) throw new Error(`There is no family ${golden.config.model_type}`);
  const tensors = new Map(Object.entries(golden.weights).map(([name, shape]) => [name, { shape, dtype: "F32" }]));
  const request: GraphRequest = {
    config: golden.config,
    configFile: "config.json",
    tensors,
    generates: true,
    provider,
  };
  if (golden.vectors === undefined) return family(request);
  return family({ ...request, output: "vectors", pooling: { mode: "mean", normalize: false } });
}

export function modelOf({ graphs }: ModelGraphs, role: "body" | "head" | "step"): Uint8Array {
  const graph = graphs[role];
  if (graph === undefined) throw new Error(`There is no ${role}`);
  return graph.model;
}

async function runHead(model: ModelGraphs, path: string, hidden: readonly number[], targets: readonly number[]) {
  const rows = targets.length;
  const { logprobs, best } = await runGraph(modelOf(model, "head"), path, {
    hidden: { type: "F32", shape: [rows, hidden.length / rows], values: hidden },
    targets: { type: "I64", shape: [rows], values: targets },
  });
  return { logprobs: logprobs?.values, best: Array.from(best?.values ?? [], Number) };
}

/** Greedy generation as an agent does it: a step for the prompt, then one for each token. */
async function generate(model: ModelGraphs, path: string, golden: DecoderCase): Promise<number[][]> {
  const count = golden.generated?.[0]?.length ?? 0;
  const made: number[][] = golden.input_ids.map(() => []);
  let ids = golden.input_ids;
  let masks = golden.attention_mask;
  let cache = emptyCache(model, ids.length);
  while ((made[0]?.length ?? 0) < count) {
    const { hidden, ...outputs } = await runGraph(modelOf(model, "step"), path, { ...inputsOf(ids, masks), ...cache });
    const [, time = 0, width = 0] = hidden?.shape ?? [];
    const values = Array.from(hidden?.values ?? [], Number);
    const last = ids.flatMap((_, row) => values.slice(((row + 1) * time - 1) * width, (row + 1) * time * width));
    const { best } = await runHead(
      model,
      path,
      last,
      ids.map(() => 0),
    );
    for (const [row, token] of best.entries()) made[row]?.push(token);
    cache = cacheOf(outputs);
    ids = best.map((token) => [token]);
    masks = masks.map((mask) => [...mask, 1]);
  }
  return made;
}

export function emptyCache({ cache = [] }: ModelGraphs, batch: number): Record<string, Feed> {
  return Object.fromEntries(
    cache.map(({ heads, width }, i) => [`past/${i}`, { type: "F32", shape: [batch, heads, 0, width], values: [] }]),
  );
}

export function cacheOf(outputs: Awaited<ReturnType<typeof runGraph>>): Record<string, Feed> {
  const present = Object.entries(outputs).filter(([name]) => name.startsWith("present/"));
  return Object.fromEntries(
    present.map(([name, { shape, values }]) => [
      name.replace("present", "past"),
      { type: "F32", shape, values: Float32Array.from(values as Float32Array) },
    ]),
  );
}

export function inputsOf(ids: DecoderCase["input_ids"], masks: DecoderCase["attention_mask"]): Record<string, Feed> {
  const feed = (rows: DecoderCase["input_ids"]): Feed => ({
    type: "I64",
    shape: [rows.length, rows[0]?.length ?? 0],
    values: rows.flat(),
  });
  return { input_ids: feed(ids), attention_mask: feed(masks) };
}

export function expectClose(
  values: ArrayLike<number | bigint> | undefined,
  expected: readonly number[] | undefined,
): void {
  const numbers = Array.from(values ?? [], Number);
  expect(numbers).toHaveLength(expected?.length ?? -1);
  const differences = numbers.map((value, i) => Math.abs(value - (expected?.[i] ?? Number.NaN)));
  // Not Math.max(): one NaN must fail, and it does not everywhere.
  const worst = differences.reduce((most, difference) => (difference <= most ? most : difference), 0);
  expect(worst).toBeLessThan(tolerance);
}
