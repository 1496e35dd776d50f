import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";
import { type BatchSizes, splitHeads } from "../blocks/attention.js";
import { fusedAttention, type KeysAndValues, standardAttention } from "../blocks/cached-attention.js";
import { linear } from "../blocks/linear.js";
import { rmsNorm } from "../blocks/norm.js";
import { type Rotation, rotate } from "../blocks/rope.js";
import type { Decoder, DecoderAttention } from "./decoder.js";

/** What a layer's attention needs besides its weights. */
export interface AttentionContext {
  readonly sizes: BatchSizes;
  readonly rotation: Rotation;
  /** [batch, 1, time, past + time] */
  readonly bias: Value;
  /** Of the tokens before these. */
  readonly past: KeysAndValues | undefined;
  /** Whether the graph is for the CPU alone; see GraphRequest. */
  readonly isFused: boolean;
}

/** Self-attention of a decoder's layer: x of [tokens, width] to the same, and all keys and values there are by now. */
export function selfAttention(
  g: GraphBuilder,
  x: Value,
  name: string,
  { attention, width, norm }: Decoder,
  { sizes, rotation, bias, past, isFused }: AttentionContext,
): { readonly output: Value; readonly present: KeysAndValues } {
  const { heads, keyHeads, headWidth, scale, softcap = 0, normsHeads = false } = attention;
  const [q, k, v] = project(g, x, name, attention, width);
  const split = (flat: Value, count: number) => splitHeads(g, flat, sizes, count, headWidth);
  const normed = (x: Value, part: string) =>
    normsHeads ? rmsNorm(g, x, `${name}.${part}`, headWidth, norm.epsilon, norm.offset) : x;
  const queries = rotate(g, normed(split(q, heads), "q_norm"), rotation);
  const keys = rotate(g, normed(split(k, keyHeads), "k_norm"), rotation);
  const values = split(v, keyHeads);
  const attend = isFused ? fusedAttention : standardAttention;
  const all = { queries, keys, values, heads, keyHeads, headWidth, bias, past, scale, softcap };
  const { mixed, present } = attend(g, all);
  const out = { name: `${name}.o_proj`, in: heads * headWidth, out: width, bias: attention.bias.output };
  return { output: linear(g, mixed, out), present };
}

/** Queries, keys and values, each [tokens, heads · width of a head]. */
function project(
  g: GraphBuilder,
  x: Value,
  name: string,
  { heads, keyHeads, headWidth, projections, bias }: DecoderAttention,
  width: number,
): readonly [Value, Value, Value] {
  const [out, keyOut] = [heads * headWidth, keyHeads * headWidth];
  if (projections === "qkv_proj") {
    const all = linear(g, x, { name: `${name}.qkv_proj`, in: width, out: out + 2 * keyOut, bias: bias.input });
    const sizes = g.constant("INT64", [out, keyOut, keyOut]);
    const [q = all, k = all, v = all] = g.ops("Split", [all, sizes], 3, { axis: 1 });
    return [q, k, v];
  }
  const part = (of: string, size: number) =>
    linear(g, x, { name: `${name}.${of}`, in: width, out: size, bias: bias.input });
  return [part("q_proj", out), part("k_proj", keyOut), part("v_proj", keyOut)];
}
