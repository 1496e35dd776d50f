import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";
import { attention, joinHeads } from "./attention.js";

/** Keys and values of a layer, [batch, heads of keys, time, width of a head]. */
export interface KeysAndValues {
  readonly keys: Value;
  readonly values: Value;
}

/** Causal attention of new tokens to themselves and to those in a cache. */
export interface CachedHeads extends KeysAndValues {
  /** [batch, heads, time, width of a head]; keys and values are of the same time. */
  readonly queries: Value;
  readonly heads: number;
  readonly keyHeads: number;
  readonly headWidth: number;
  /** [batch, 1, time, past + time], of `causalBias` */
  readonly bias: Value;
  readonly past: KeysAndValues | undefined;
  readonly scale: number;
  readonly softcap: number;
}

export interface CachedAttention {
  /** [tokens, heads · width of a head] */
  readonly mixed: Value;
  /** Past and new. */
  readonly present: KeysAndValues;
}

/** In ONNX's own operators, for any provider. */
export function standardAttention(g: GraphBuilder, x: CachedHeads): CachedAttention {
  const { past } = x;
  const keys = past === undefined ? x.keys : g.op("Concat", [past.keys, x.keys], { axis: 2 });
  const values = past === undefined ? x.values : g.op("Concat", [past.values, x.values], { axis: 2 });
  const mixed = attention(g, { ...x, keys, values, biasHasTimes: true });
  return { mixed: joinHeads(g, mixed, x.heads, x.headWidth), present: { keys, values } };
}

/** The operator takes no other widths of heads than multiples of it. */
const fusedWidths = 8;

/**
 * In ONNX Runtime's GroupQueryAttention, which never holds all scores (Dao et al., 2022). Its CPU kernel takes FLOAT and a
 * bias; that of CUDA takes no FLOAT. With a cache, it takes one token of each example, or several of one. Heads that it
 * cannot take get {@link standardAttention}.
 */
export function fusedAttention(g: GraphBuilder, x: CachedHeads): CachedAttention {
  const { heads, keyHeads, headWidth, past, bias, scale, softcap } = x;
  if (headWidth % fusedWidths !== 0) return standardAttention(g, x);
  const flat = (value: Value, count: number) => {
    const ordered = g.op("Transpose", [value], { perm: [0, 2, 1, 3] });
    return g.op("Reshape", [ordered, g.constant("INT64", [0, 0, count * headWidth])]);
  };
  const total = g.op("Cast", [g.op("Shape", [bias], { start: 3, end: 4 })], { to: 6 });
  // The operator counts tokens itself; that some are padding it learns from the bias.
  const batch = g.op("Shape", [bias], { start: 0, end: 1 });
  const lastSlot = g.op("Expand", [g.op("Sub", [total, g.constant("INT32", [1])]), batch]);
  const [mixed = x.queries, keys = x.keys, values = x.values] = g.ops(
    "GroupQueryAttention",
    [
      flat(x.queries, heads),
      flat(x.keys, keyHeads),
      flat(x.values, keyHeads),
      past?.keys,
      past?.values,
      lastSlot,
      g.op("Squeeze", [total]),
      undefined,
      undefined,
      undefined,
      bias,
    ],
    3,
    { num_heads: heads, kv_num_heads: keyHeads, scale: { float: scale }, softcap: { float: softcap } },
    "com.microsoft",
  );
  return {
    mixed: g.op("Reshape", [mixed, g.constant("INT64", [-1, heads * headWidth])]),
    present: { keys, values },
  };
}
