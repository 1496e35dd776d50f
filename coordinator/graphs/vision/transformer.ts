import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";
import { activate } from "../blocks/activation.js";
import { attention, type BatchSizes, joinHeads, splitHeads } from "../blocks/attention.js";
import { linear } from "../blocks/linear.js";
import { layerNorm } from "../blocks/norm.js";
import type { ConfigReader } from "../config.js";

/** Where the parts of one block are in the checkpoint. */
export interface BlockNames {
  readonly normBeforeAttention: string;
  readonly queries: string;
  readonly keys: string;
  readonly values: string;
  readonly attentionOutput: string;
  readonly normBeforeMlp: string;
  readonly up: string;
  readonly down: string;
}

/** What ViT and both towers of CLIP have in common: blocks whose norms come first. */
export interface Transformer {
  readonly width: number;
  readonly heads: number;
  readonly layers: number;
  /** Of the MLP between its two layers. */
  readonly innerWidth: number;
  readonly activation: string;
  readonly epsilon: number;
  readonly qkvBias: boolean;
  readonly names: (layer: number) => BlockNames;
}

/** Throws `checkpoint_mismatch` where the heads do not divide the width. */
export function assertHeadsFit(config: ConfigReader, width: number, heads: number): void {
  if (width % heads === 0) return;
  throw config.fail("num_attention_heads", `which does not divide the hidden size of ${width}`);
}

/**
 * Its blocks, for x of [tokens, width], as in "An Image is Worth 16x16 Words" (Dosovitskiy et al., 2021, eq. 2-3):
 * x + attention(norm(x)), then x + mlp(norm(x)). `bias` is added to the scores of all layers.
 */
export function transformer(g: GraphBuilder, x: Value, sizes: BatchSizes, model: Transformer, bias?: Value): Value {
  let hidden = x;
  for (let layer = 0; layer < model.layers; layer++) {
    const names = model.names(layer);
    hidden = g.op("Add", [hidden, attend(g, hidden, sizes, model, names, bias)]);
    hidden = g.op("Add", [hidden, mlp(g, hidden, model, names)]);
  }
  return hidden;
}

function attend(
  g: GraphBuilder,
  x: Value,
  sizes: BatchSizes,
  model: Transformer,
  names: BlockNames,
  bias: Value | undefined,
): Value {
  const { width, heads, epsilon, qkvBias } = model;
  const normed = layerNorm(g, x, names.normBeforeAttention, width, epsilon);
  const project = (name: string) =>
    splitHeads(g, linear(g, normed, { name, in: width, out: width, bias: qkvBias }), sizes, heads, width / heads);
  const mixed = attention(g, {
    queries: project(names.queries),
    keys: project(names.keys),
    values: project(names.values),
    bias,
    scale: (width / heads) ** -0.5,
  });
  const joined = joinHeads(g, mixed, heads, width / heads);
  return linear(g, joined, { name: names.attentionOutput, in: width, out: width, bias: true });
}

function mlp(g: GraphBuilder, x: Value, { width, innerWidth, epsilon, activation }: Transformer, names: BlockNames) {
  const normed = layerNorm(g, x, names.normBeforeMlp, width, epsilon);
  const up = linear(g, normed, { name: names.up, in: width, out: innerWidth, bias: true });
  return linear(g, activate(g, up, activation), { name: names.down, in: innerWidth, out: width, bias: true });
}
