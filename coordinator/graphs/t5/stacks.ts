import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";
import { batchSizes, paddingBias } from "../blocks/attention.js";
import { causalBias, slotsOf } from "../blocks/causal.js";
import { embedding } from "../blocks/embedding.js";
import { attend, feedForward, type KeysValues, keysValues, norm, stackBias } from "./layers.js";
import type { T5Sizes } from "./sizes.js";

/** Tokens, and where there are some: [batch, time] of INT64 each. A cache's tokens are in the mask alone. */
export interface Tokens {
  readonly ids: Value;
  readonly mask: Value;
}

/** The encoder's last hidden states, [tokens, width]. `table` is the name of the embeddings. */
export function encode(g: GraphBuilder, { ids, mask }: Tokens, table: string, t5: T5Sizes): Value {
  const batch = batchSizes(g, ids);
  const { keys: places } = slotsOf(g, mask, batch);
  const bias = g.op("Add", [stackBias(g, "encoder", places, places, t5), paddingBias(g, mask)]);
  let x = embed(g, ids, table, t5);
  for (let layer = 0; layer < t5.encoderLayers; layer++) {
    const block = `encoder.block.${layer}`;
    const name = `${block}.layer.0.SelfAttention`;
    const normed = norm(g, x, `${block}.layer.0.layer_norm`, t5);
    const attended = attend(
      g,
      normed,
      { ...keysValues(g, normed, name, batch, t5), bias, biasHasTimes: true },
      name,
      batch,
      t5,
    );
    x = feedForward(g, g.op("Add", [x, attended]), `${block}.layer.1`, t5);
  }
  return norm(g, x, "encoder.final_layer_norm", t5);
}

/** What each layer of the decoder attends to of the encoder's states, which are those of `tokens`. */
export function crossKeysValues(g: GraphBuilder, states: Value, { ids }: Tokens, t5: T5Sizes): readonly KeysValues[] {
  const batch = batchSizes(g, ids);
  return Array.from({ length: t5.decoderLayers }, (_, layer) =>
    keysValues(g, states, `decoder.block.${layer}.layer.1.EncDecAttention`, batch, t5),
  );
}

export interface DecoderInputs {
  /** New tokens; the mask is [batch, past + time]. */
  readonly tokens: Tokens;
  /** Per layer, of tokens that have been decoded before. */
  readonly past?: readonly KeysValues[];
  /** Per layer, of the encoder. */
  readonly cross: readonly KeysValues[];
  /** Of the encoder's tokens. */
  readonly crossMask: Value;
}

/** The decoder's last hidden states, [tokens, width], and per layer what later tokens attend to: past and new. */
export function decode(
  g: GraphBuilder,
  { tokens, past, cross, crossMask }: DecoderInputs,
  table: string,
  t5: T5Sizes,
): { readonly hidden: Value; readonly present: readonly KeysValues[] } {
  const batch = batchSizes(g, tokens.ids);
  const slots = slotsOf(g, tokens.mask, batch);
  const selfBias = g.op("Add", [stackBias(g, "decoder", slots.queries, slots.keys, t5), causalBias(g, slots)]);
  const crossBias = paddingBias(g, crossMask);
  const present: KeysValues[] = [];
  let x = embed(g, tokens.ids, table, t5);
  for (const [layer, encoded] of cross.entries()) {
    const block = `decoder.block.${layer}`;
    const [self, other] = [`${block}.layer.0.SelfAttention`, `${block}.layer.1.EncDecAttention`];
    const forSelf = norm(g, x, `${block}.layer.0.layer_norm`, t5);
    const known = append(g, past?.[layer], keysValues(g, forSelf, self, batch, t5));
    present.push(known);
    x = g.op("Add", [x, attend(g, forSelf, { ...known, bias: selfBias, biasHasTimes: true }, self, batch, t5)]);
    const forCross = norm(g, x, `${block}.layer.1.layer_norm`, t5);
    x = g.op("Add", [x, attend(g, forCross, { ...encoded, bias: crossBias }, other, batch, t5)]);
    x = feedForward(g, x, `${block}.layer.2`, t5);
  }
  return { hidden: norm(g, x, "decoder.final_layer_norm", t5), present };
}

/** [batch, time] to [tokens, width]. */
function embed(g: GraphBuilder, ids: Value, table: string, { vocabulary, width }: T5Sizes): Value {
  return g.op("Reshape", [embedding(g, ids, table, vocabulary, width), g.constant("INT64", [-1, width])]);
}

function append(g: GraphBuilder, past: KeysValues | undefined, { keys, values }: KeysValues): KeysValues {
  if (past === undefined) return { keys, values };
  const join = (before: Value, after: Value) => g.op("Concat", [before, after], { axis: 2 });
  return { keys: join(past.keys, keys), values: join(past.values, values) };
}
