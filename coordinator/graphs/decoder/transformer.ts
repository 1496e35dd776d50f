import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";
import { type BatchSizes, batchSizes } from "../blocks/attention.js";
import type { KeysAndValues } from "../blocks/cached-attention.js";
import { causalBias, type Slots, slotsOf } from "../blocks/causal.js";
import { embedding } from "../blocks/embedding.js";
import { rmsNorm } from "../blocks/norm.js";
import { type Rotation, rotation } from "../blocks/rope.js";
import type { Decoder, DecoderLayer } from "./decoder.js";
import { selfAttention } from "./self-attention.js";

export interface DecoderInputs {
  /** [batch, time] INT64 */
  readonly ids: Value;
  /** [batch, past + time] INT64 */
  readonly mask: Value;
  /** Of each layer, where there is a cache. */
  readonly past?: readonly KeysAndValues[];
  /** Whether the graph is for the CPU alone; see GraphRequest. */
  readonly isFused: boolean;
}

export interface DecoderOutputs {
  /** Last hidden states, after the last norm: [batch, time, width]. */
  readonly hidden: Value;
  readonly present: readonly KeysAndValues[];
}

/** All layers of a decoder. `prefix` stands before the names of its tensors, as in `model.`. */
export function decode(g: GraphBuilder, decoder: Decoder, prefix: string, inputs: DecoderInputs): DecoderOutputs {
  const { width, norm } = decoder;
  const sizes = batchSizes(g, inputs.ids);
  const { x, present } = runLayers(g, decoder, prefix, inputs, sizes);
  const shape = timeShape(g, sizes, width);
  const normed = rmsNorm(g, x, `${prefix}norm`, width, norm.epsilon, norm.offset);
  return { hidden: g.op("Reshape", [normed, shape]), present };
}

/** What each layer is given, the embedding first: [batch, time, width] each. The last layer is not run. */
export function layerInputs(g: GraphBuilder, decoder: Decoder, prefix: string, inputs: DecoderInputs): Value[] {
  const sizes = batchSizes(g, inputs.ids);
  const given: Value[] = [];
  const others = { ...decoder, layers: decoder.layers.slice(0, -1) };
  const { x } = runLayers(g, others, prefix, inputs, sizes, (state) => void given.push(state));
  const shape = timeShape(g, sizes, decoder.width);
  return [...given, x].map((state) => g.op("Reshape", [state, shape]));
}

/** The shape that makes rows of tokens [batch, time, width]. */
function timeShape(g: GraphBuilder, { batch, time }: BatchSizes, width: number): Value {
  return g.op("Concat", [batch, time, g.constant("INT64", [width])], { axis: 0 });
}

/** `x`: the residual stream after the last layer, [tokens, width]; `onLayer` is told of it before each. */
function runLayers(
  g: GraphBuilder,
  decoder: Decoder,
  prefix: string,
  inputs: DecoderInputs,
  sizes: BatchSizes,
  onLayer?: (x: Value) => void,
): { readonly x: Value; readonly present: readonly KeysAndValues[] } {
  const { width, norm, norms, mlp, embeddingScale = 1 } = decoder;
  const contexts = contextsOf(g, slotsOf(g, inputs.mask, sizes));
  const normed = (x: Value, name: string) => rmsNorm(g, x, name, width, norm.epsilon, norm.offset);
  const maybeNormed = (x: Value, layer: string, name: string | undefined) =>
    name === undefined ? x : normed(x, `${layer}.${name}`);

  const rows = embedding(g, inputs.ids, `${prefix}embed_tokens.weight`, decoder.vocabulary, width);
  const scaled = embeddingScale === 1 ? rows : g.op("Mul", [rows, g.constant("FLOAT", embeddingScale)]);
  let x = g.op("Reshape", [scaled, g.constant("INT64", [-1, width])]);
  const present: KeysAndValues[] = [];
  for (const [number, layer] of decoder.layers.entries()) {
    onLayer?.(x);
    const name = `${prefix}layers.${number}`;
    const context = { sizes, ...contexts(layer), past: inputs.past?.[number], isFused: inputs.isFused };
    const attended = selfAttention(
      g,
      normed(x, `${name}.${norms.beforeAttention}`),
      `${name}.self_attn`,
      decoder,
      context,
    );
    present.push(attended.present);
    x = g.op("Add", [x, maybeNormed(attended.output, name, norms.afterAttention)]);
    const changed = mlp(g, normed(x, `${name}.${norms.beforeMlp}`), name, number);
    x = g.op("Add", [x, maybeNormed(changed, name, norms.afterMlp)]);
  }
  return { x, present };
}

/** Masks and rotations are large and few: layers of one window, or of one RoPE, share them. */
function contextsOf(g: GraphBuilder, slots: Slots) {
  const biases = new Map<number | undefined, Value>();
  const rotations = new Map<string, Rotation>();
  return ({ window, rope }: DecoderLayer) => {
    const bias = biases.get(window) ?? causalBias(g, slots, window);
    biases.set(window, bias);
    const key = JSON.stringify(rope);
    const turned = rotations.get(key) ?? rotation(g, rope, slots.positions, slots.mask);
    rotations.set(key, turned);
    return { bias, rotation: turned };
  };
}
