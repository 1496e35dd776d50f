import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";

/** Queries, keys and values, each [batch, heads, time, width of a head]. */
export interface Heads {
  readonly queries: Value;
  /** Keys and values may have fewer heads than queries: each then serves a group of them (Ainslie et al., 2023). */
  readonly keys: Value;
  readonly values: Value;
  /** Added to the scores, broadcast to [batch, heads, time of queries, time of keys]: 0, or very negative. */
  readonly bias?: Value | undefined;
  /** Whether `bias` has the times of queries and keys already, so that nothing is broadcast but batch and heads. */
  readonly biasHasTimes?: boolean;
  /** Of the scores. @default 1, for models whose scores are not scaled */
  readonly scale?: number;
  /** c of c · tanh(scores / c), applied before the bias (Gemma 2). @default 0, for none */
  readonly softcap?: number;
}

/**
 * softmax(scale · Q Kᵀ + bias) V (Vaswani et al., 2017, 3.2.1), as [batch, heads, time, width of a head]. ONNX's own
 * operator, because it never holds two copies of the scores nor repeats keys and values for their group of queries.
 */
export function attention(g: GraphBuilder, heads: Heads): Value {
  const { queries, keys, values, bias, biasHasTimes = false, scale = 1, softcap = 0 } = heads;
  const mask = bias === undefined || biasHasTimes ? bias : withTimeOf(g, bias, queries);
  const cap = softcap === 0 ? {} : { softcap: { float: softcap } };
  return g.op("Attention", [queries, keys, values, mask], { scale: { float: scale }, ...cap });
}

/** The operator broadcasts batch and heads of a bias, but not its times. */
function withTimeOf(g: GraphBuilder, bias: Value, queries: Value): Value {
  const one = g.constant("INT64", [1]);
  const time = g.op("Shape", [queries], { start: 2, end: 3 });
  return g.op("Expand", [bias, g.op("Concat", [one, one, time, one], { axis: 0 })]);
}

/** Sizes of a batch, as values of the graph: a one-element INT64 list each. */
export interface BatchSizes {
  readonly batch: Value;
  readonly time: Value;
}

/** The sizes of `ids`, [batch, time]. */
export function batchSizes(g: GraphBuilder, ids: Value): BatchSizes {
  return {
    batch: g.op("Shape", [ids], { start: 0, end: 1 }),
    time: g.op("Shape", [ids], { start: 1, end: 2 }),
  };
}

/** [tokens, heads · width] to [batch, heads, time, width]. */
export function splitHeads(
  g: GraphBuilder,
  x: Value,
  { batch, time }: BatchSizes,
  heads: number,
  width: number,
): Value {
  const shape = g.op("Concat", [batch, time, g.constant("INT64", [heads, width])], { axis: 0 });
  return g.op("Transpose", [g.op("Reshape", [x, shape])], { perm: [0, 2, 1, 3] });
}

/** [batch, heads, time, width] to [tokens, heads · width]. */
export function joinHeads(g: GraphBuilder, x: Value, heads: number, width: number): Value {
  const ordered = g.op("Transpose", [x], { perm: [0, 2, 1, 3] });
  return g.op("Reshape", [ordered, g.constant("INT64", [-1, heads * width])]);
}

/** What is added to a score that must not count. Not −∞: a row of nothing but those would be NaN. */
export const masked = -3e38;

/** `mask` [batch, time of keys] of INT64, 1 where there is a token: 0 and {@link masked} as [batch, 1, 1, time]. */
export function paddingBias(g: GraphBuilder, mask: Value): Value {
  const isToken = g.op("Cast", [g.op("Unsqueeze", [mask, g.constant("INT64", [1, 2])])], { to: 9 });
  return g.op("Where", [isToken, g.constant("FLOAT", 0), g.constant("FLOAT", masked)]);
}
