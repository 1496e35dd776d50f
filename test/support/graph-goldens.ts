import type { BuiltGraph } from "../../shared/onnx/graph-builder.js";
import { type Feed, type GraphOutput, runGraph } from "./run-graph.js";

// What tests of graphs of text share: inputs as goldens have them, and comparing with what they hold.

/** Whole numbers by example, as tokens and masks are. */
export type Rows = readonly (readonly number[])[];

/** Inputs by name. */
export type TextRows = Readonly<Record<string, Rows>>;

/** Fails a test with a word about what is missing. */
export function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`There is no ${what}`);
  return value;
}

export function feedsOf(inputs: TextRows): Readonly<Record<string, Feed>> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, rows]) => {
      return [name, { type: "I64", shape: [rows.length, rows[0]?.length ?? 0], values: rows.flat() }];
    }),
  );
}

/** Runs a graph of texts and returns its output `name`. */
export async function runOnText(
  graph: BuiltGraph | undefined,
  checkpoint: string,
  inputs: TextRows,
  name: string,
): Promise<GraphOutput> {
  const outputs = await runGraph(present(graph, "graph").model, checkpoint, feedsOf(inputs));
  return present(outputs[name], `output ${name}`);
}

/** The same texts with their padding on the other side: each input's rows begin with what came after `mask`'s ones. */
export function padLeft(inputs: TextRows, mask: Rows): TextRows {
  const lengths = mask.map((row) => row.reduce((sum, bit) => sum + bit, 0));
  const move = (row: readonly number[], length = row.length) => [...row.slice(length), ...row.slice(0, length)];
  return Object.fromEntries(
    Object.entries(inputs).map(([name, rows]) => [name, rows.map((row, i) => move(row, lengths[i]))]),
  );
}

/**
 * A corner of hidden states [batch, time, width], as goldens keep it: `shape` of its positions, the first or the last
 * ones, and of its width; zero for padding.
 */
export function cornerOf(
  { shape: [, time = 0, width = 0], values }: GraphOutput,
  mask: Rows,
  [batch, positions, kept]: readonly [number, number, number],
  side: "first" | "last",
): readonly number[] {
  const start = side === "first" ? 0 : time - positions;
  return Array.from({ length: batch * positions * kept }, (_, i) => {
    const row = Math.floor(i / (positions * kept));
    const position = start + (Math.floor(i / kept) % positions);
    const isToken = mask[row]?.[position] === 1;
    return isToken ? Number(values[(row * time + position) * width + (i % kept)]) : 0;
  });
}

/** Infinite between lists of different lengths. */
export function largestDifference(got: ArrayLike<number | bigint>, wanted: readonly number[]): number {
  if (got.length !== wanted.length || wanted.length === 0) return Number.POSITIVE_INFINITY;
  return wanted.reduce((largest, value, i) => Math.max(largest, Math.abs(value - Number(got[i]))), 0);
}
