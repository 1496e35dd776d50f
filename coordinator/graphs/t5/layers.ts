import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";
import { activate } from "../blocks/activation.js";
import { attention, type BatchSizes, type Heads, joinHeads, splitHeads } from "../blocks/attention.js";
import { linear } from "../blocks/linear.js";
import { rmsNorm } from "../blocks/norm.js";
import { relativeBias } from "../blocks/relative-bias.js";
import type { T5Sizes } from "./sizes.js";

// The parts of which both of T5's stacks are made. No linear layer has a bias, and scores are not scaled. Hidden states
// are [tokens, width]; keys and values [batch, heads, time, width of a head].

/** What an attention attends to. */
export interface KeysValues {
  readonly keys: Value;
  readonly values: Value;
}

export function norm(g: GraphBuilder, x: Value, name: string, { width, epsilon }: T5Sizes): Value {
  return rmsNorm(g, x, name, width, epsilon);
}

/** Keys and values of the attention `name`, of the states that it attends to. */
export function keysValues(g: GraphBuilder, states: Value, name: string, batch: BatchSizes, t5: T5Sizes): KeysValues {
  return {
    keys: project(g, states, `${name}.k`, batch, t5),
    values: project(g, states, `${name}.v`, batch, t5),
  };
}

/** What the attention `name` gathers for `states`, to be added to the hidden states. */
export function attend(
  g: GraphBuilder,
  states: Value,
  to: KeysValues & Pick<Heads, "bias" | "biasHasTimes">,
  name: string,
  batch: BatchSizes,
  t5: T5Sizes,
): Value {
  const queries = project(g, states, `${name}.q`, batch, t5);
  const mixed = joinHeads(g, attention(g, { queries, ...to }), t5.heads, t5.headWidth);
  return linear(g, mixed, { name: `${name}.o`, in: t5.heads * t5.headWidth, out: t5.width });
}

/** The feed-forward sublayer `name`, norm and addition included. */
export function feedForward(g: GraphBuilder, x: Value, name: string, t5: T5Sizes): Value {
  const { width, inner, activation, isGated } = t5;
  const normed = norm(g, x, `${name}.layer_norm`, t5);
  const up = (module: string) => linear(g, normed, { name: `${name}.DenseReluDense.${module}`, in: width, out: inner });
  const active = activate(g, up(isGated ? "wi_0" : "wi"), activation);
  const gated = isGated ? g.op("Mul", [active, up("wi_1")]) : active;
  return g.op("Add", [x, linear(g, gated, { name: `${name}.DenseReluDense.wo`, in: inner, out: width })]);
}

/** The relative bias of a stack, which its first layer holds for all: [1, heads, time of queries, time of keys]. */
export function stackBias(
  g: GraphBuilder,
  stack: "encoder" | "decoder",
  queries: Value,
  keys: Value,
  { heads, buckets, maxDistance }: T5Sizes,
): Value {
  const name = `${stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`;
  const how = { buckets, maxDistance, bidirectional: stack === "encoder" };
  return relativeBias(g, { name, heads, ...how }, queries, keys);
}

function project(g: GraphBuilder, x: Value, name: string, batch: BatchSizes, { width, heads, headWidth }: T5Sizes) {
  return splitHeads(g, linear(g, x, { name, in: width, out: heads * headWidth }), batch, heads, headWidth);
}
