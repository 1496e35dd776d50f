import { type BuiltGraph, GraphBuilder, type Value } from "../../../shared/onnx/graph-builder.js";
import { batchSizes } from "../blocks/attention.js";
import { buildHead } from "../blocks/head.js";
import { pool } from "../blocks/pooling.js";
import { ConfigReader } from "../config.js";
import type { CacheSlot, GraphRequest, ModelGraphs, Pooling } from "../types.js";
import type { KeysValues } from "./layers.js";
import { readT5, type T5Sizes } from "./sizes.js";
import { crossKeysValues, decode, encode, type Tokens } from "./stacks.js";

/** Tables of embeddings, in the order of preference: they are one where a checkpoint has several. */
const tables = ["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"];

/** What T5 and the models after it differ in. */
export interface T5Family {
  readonly name: string;
  /** What a missing `feed_forward_proj` means. */
  readonly feedForward: string;
  /** Whether its models may multiply states by width^−½ before the head. */
  readonly isScaled: boolean;
}

/**
 * The graphs of a T5 model (Raffel et al., 2020). With a decoder: `body` and `head`, and for generation `encoder` and
 * `step`. A checkpoint without one, as `T5EncoderModel` saves it, is an encoder of texts, and so is any T5 that vectors are
 * wanted of. Throws `checkpoint_mismatch`.
 *
 * To generate, `encoder` runs once, and all its outputs are fed to every `step` under the same names: `cross/<i>`, keys
 * (even i) and values (odd i) of cross-attention, layer by layer, and `encoder_attention_mask`. A step takes `input_ids`
 * [batch, time], the first of which is `decoderStart`, `attention_mask` [batch, past + time] of the decoder's tokens, and
 * `past/<i>`, which is empty at first and then the last step's `present/<i>`.
 *
 * Of states that are multiplied by width^−½ before the head, see {@link scalesStates}.
 */
export function buildT5(request: GraphRequest, family: T5Family): ModelGraphs {
  const config = new ConfigReader(request.config, request.configFile);
  const t5 = readT5(config, family.feedForward);
  const table = tables.find((name) => request.tensors.has(name)) ?? "shared.weight";
  if (request.output === "logits") throw config.fail("model_type", "for which classifiers are not supported");

  const common = { family: family.name, maxTokens: undefined, vocabulary: t5.vocabulary };
  const hasDecoder = [...request.tensors.keys()].some((name) => name.startsWith("decoder."));
  const wantsVectors = request.output === "vectors" || (request.output === undefined && request.pooling !== undefined);
  if (!hasDecoder || wantsVectors) {
    const pooling = wantsVectors ? (request.pooling ?? { mode: "mean", normalize: false }) : undefined;
    if (pooling?.mode === "pooler")
      throw config.fail("model_type", 'which has no pooler: choose "mean", "cls" or "last"');
    return { ...common, kind: "encoder", graphs: { body: textEncoder(table, t5, pooling) } };
  }
  const head = request.tensors.has("lm_head.weight") ? "lm_head.weight" : table;
  const scale = family.isScaled && scalesStates(config) ? t5.width ** -0.5 : 1;
  const generation = request.generates === true ? { encoder: encoderGraph(table, t5), step: stepGraph(table, t5) } : {};
  return {
    ...common,
    kind: "seq2seq",
    graphs: {
      body: bodyGraph(table, t5),
      head: buildHead({ weight: head, vocabulary: t5.vocabulary, width: t5.width, scale }),
      ...generation,
    },
    cache: Array.from({ length: 2 * t5.decoderLayers }, (): CacheSlot => ({ heads: t5.heads, width: t5.headWidth })),
    decoderStart: t5.decoderStart,
  };
}

/**
 * The first T5 does, 1.1 and Flan-T5 do not. Before transformers 5 a config says so by `tie_word_embeddings`; since then
 * that is always true, and `scale_decoder_outputs` says it.
 */
function scalesStates(config: ConfigReader): boolean {
  const isTied = config.flag("tie_word_embeddings", true);
  return config.flag("scale_decoder_outputs", isTied);
}

/** Ends in vectors where there is a pooling, else in hidden states. */
function textEncoder(table: string, t5: T5Sizes, pooling: Pooling | undefined): BuiltGraph {
  const g = new GraphBuilder("t5-encoder");
  const tokens = textInputs(g);
  const hidden = perExample(g, encode(g, tokens, table, t5), tokens.ids, t5);
  if (pooling === undefined) g.output("hidden", hidden, "FLOAT", ["batch", "time", t5.width]);
  else g.output("vectors", pool(g, hidden, tokens.mask, pooling), "FLOAT", ["batch", t5.width]);
  return g.build();
}

function bodyGraph(table: string, t5: T5Sizes): BuiltGraph {
  const g = new GraphBuilder("t5-body");
  const source = textInputs(g);
  const tokens = {
    ids: g.input("decoder_input_ids", "INT64", ["batch", "decoder_time"]),
    mask: g.input("decoder_attention_mask", "INT64", ["batch", "decoder_time"]),
  };
  const cross = crossKeysValues(g, encode(g, source, table, t5), source, t5);
  const { hidden } = decode(g, { tokens, cross, crossMask: source.mask }, table, t5);
  g.output("hidden", perExample(g, hidden, tokens.ids, t5), "FLOAT", ["batch", "decoder_time", t5.width]);
  return g.build();
}

function encoderGraph(table: string, t5: T5Sizes): BuiltGraph {
  const g = new GraphBuilder("t5-encoder");
  const tokens = textInputs(g);
  const cross = crossKeysValues(g, encode(g, tokens, table, t5), tokens, t5);
  for (const [i, value] of inOrder(cross).entries()) g.output(`cross/${i}`, value, "FLOAT", cacheShape("time", t5));
  g.output("encoder_attention_mask", tokens.mask, "INT64", ["batch", "time"]);
  return g.build();
}

function stepGraph(table: string, t5: T5Sizes): BuiltGraph {
  const g = new GraphBuilder("t5-step");
  const tokens = {
    ids: g.input("input_ids", "INT64", ["batch", "time"]),
    mask: g.input("attention_mask", "INT64", ["batch", "past_and_time"]),
  };
  const crossMask = g.input("encoder_attention_mask", "INT64", ["batch", "encoder_time"]);
  const past = cacheInputs(g, "past", t5);
  const cross = cacheInputs(g, "cross", t5);
  const { hidden, present } = decode(g, { tokens, past, cross, crossMask }, table, t5);
  g.output("hidden", perExample(g, hidden, tokens.ids, t5), "FLOAT", ["batch", "time", t5.width]);
  for (const [i, value] of inOrder(present).entries()) {
    g.output(`present/${i}`, value, "FLOAT", cacheShape("past_and_time", t5));
  }
  return g.build();
}

function textInputs(g: GraphBuilder): Tokens {
  return {
    ids: g.input("input_ids", "INT64", ["batch", "time"]),
    mask: g.input("attention_mask", "INT64", ["batch", "time"]),
  };
}

/** Per layer of the decoder. */
function cacheInputs(g: GraphBuilder, name: "past" | "cross", t5: T5Sizes): readonly KeysValues[] {
  const time = name === "past" ? "past" : "encoder_time";
  const slot = (i: number) => g.input(`${name}/${i}`, "FLOAT", cacheShape(time, t5));
  return Array.from({ length: t5.decoderLayers }, (_, layer) => ({
    keys: slot(2 * layer),
    values: slot(2 * layer + 1),
  }));
}

function cacheShape(time: string, { heads, headWidth }: T5Sizes) {
  return ["batch", heads, time, headWidth];
}

function inOrder(layers: readonly KeysValues[]): readonly Value[] {
  return layers.flatMap(({ keys, values }) => [keys, values]);
}

/** [tokens, width] to [batch, time, width], as `ids` has them. */
function perExample(g: GraphBuilder, hidden: Value, ids: Value, { width }: T5Sizes): Value {
  const { batch, time } = batchSizes(g, ids);
  return g.op("Reshape", [hidden, g.op("Concat", [batch, time, g.constant("INT64", [width])], { axis: 0 })]);
}
