import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";
import { batchSizes } from "../blocks/attention.js";
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
  const { width, norm, norms, mlp, embeddingScale = 1 } = decoder;
  const sizes = batchSizes(g, inputs.ids);
  const contexts = contextsOf(g, slotsOf(g, inputs.mask, sizes));
  const normed = (x: Value, name: string) => rmsNorm(g, x, name, width, norm.epsilon, norm.offset);
  const maybeNormed = (x: Value, layer: string, name: string | undefined) =>
    name === undefined ? x : normed(x, `${layer}.${name}`);

  const rows = embedding(g, inputs.ids, `${prefix}embed_tokens.weight`, decoder.vocabulary, width);
  const scaled = embeddingScale === 1 ? rows : g.op("Mul", [rows, g.constant("FLOAT", embeddingScale)]);
  let x = g.op("Reshape", [scaled, g.constant("INT64", [-1, width])]);
  const present: KeysAndValues[] = [];
  for (const [number, layer] of decoder.layers.entries()) {
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
  const shape = g.op("Concat", [sizes.batch, sizes.time, g.constant("INT64", [width])], { axis: 0 });
  return { hidden: g.op("Reshape", [normed(x, `${prefix}norm`), shape]), present };
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
