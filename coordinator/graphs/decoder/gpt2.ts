import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";
import { activate } from "../blocks/activation.js";
import { type BatchSizes, batchSizes, splitHeads } from "../blocks/attention.js";
import { fusedAttention, type KeysAndValues, standardAttention } from "../blocks/cached-attention.js";
import { causalBias, slotsOf } from "../blocks/causal.js";
import { embedding } from "../blocks/embedding.js";
import { layerNorm } from "../blocks/norm.js";
import { type ConfigReader, maxLayers } from "../config.js";
import type { LanguageModel } from "./language-model.js";
import { readActivation, repeated } from "./read.js";
import type { DecoderInputs, DecoderOutputs } from "./transformer.js";

interface Gpt2 {
  readonly vocabulary: number;
  readonly width: number;
  readonly inner: number;
  readonly heads: number;
  readonly headWidth: number;
  readonly maxTokens: number;
  readonly epsilon: number;
  readonly activation: string;
  /** Of the scores, by layer. */
  readonly scales: readonly number[];
}

/** GPT-2 (Radford et al., 2019), and what shares its architecture, such as DistilGPT2. */
export function gpt2(config: ConfigReader): LanguageModel {
  const model = readGpt2(config);
  return {
    family: "gpt2",
    ...model,
    layers: model.scales,
    attention: { keyHeads: model.heads, headWidth: model.headWidth },
    tied: config.flag("tie_word_embeddings", true),
    names: { embedding: "wte.weight", prefixes: ["transformer.", ""] },
    decode: (g, prefix, inputs) => decodeGpt2(g, model, prefix, inputs),
  };
}

function readGpt2(config: ConfigReader): Gpt2 {
  if (config.flag("add_cross_attention", false)) {
    throw config.fail("add_cross_attention", "only models without an encoder are supported");
  }
  const width = config.size("n_embd");
  const heads = config.size("n_head");
  if (width % heads !== 0) throw config.fail("n_head", `which does not divide "n_embd", ${width}`);
  const headWidth = width / heads;
  const scale = config.flag("scale_attn_weights", true) ? headWidth ** -0.5 : 1;
  const falls = config.flag("scale_attn_by_inverse_layer_idx", false);
  return {
    vocabulary: config.size("vocab_size"),
    width,
    inner: config.size("n_inner", 4 * width),
    heads,
    headWidth,
    maxTokens: config.size("n_positions", 1_024),
    epsilon: config.number("layer_norm_epsilon", 1e-5),
    activation: readActivation(config, "activation_function", "gelu_new"),
    scales: repeated(scale, config.size("n_layer", undefined, maxLayers)).map((scale, i) =>
      falls ? scale / (i + 1) : scale,
    ),
  };
}

function decodeGpt2(g: GraphBuilder, model: Gpt2, prefix: string, inputs: DecoderInputs): DecoderOutputs {
  const { vocabulary, width, inner, maxTokens, epsilon } = model;
  const sizes = batchSizes(g, inputs.ids);
  const slots = slotsOf(g, inputs.mask, sizes);
  const bias = causalBias(g, slots);
  const normed = (x: Value, name: string) => layerNorm(g, x, `${prefix}${name}`, width, epsilon);
  const tokens = embedding(g, inputs.ids, `${prefix}wte.weight`, vocabulary, width);
  const places = embedding(g, slots.positions, `${prefix}wpe.weight`, maxTokens, width);
  let x = g.op("Reshape", [g.op("Add", [tokens, places]), g.constant("INT64", [-1, width])]);
  const present: KeysAndValues[] = [];
  for (const [i, scale] of model.scales.entries()) {
    const context = { sizes, bias, past: inputs.past?.[i], scale, isFused: inputs.isFused };
    const attended = attend(g, normed(x, `h.${i}.ln_1`), `${prefix}h.${i}.attn`, model, context);
    present.push(attended.present);
    x = g.op("Add", [x, attended.output]);
    const wide = conv1d(g, normed(x, `h.${i}.ln_2`), `${prefix}h.${i}.mlp.c_fc`, width, inner);
    x = g.op("Add", [x, conv1d(g, activate(g, wide, model.activation), `${prefix}h.${i}.mlp.c_proj`, inner, width)]);
  }
  const shape = g.op("Concat", [sizes.batch, sizes.time, g.constant("INT64", [width])], { axis: 0 });
  return { hidden: g.op("Reshape", [normed(x, "ln_f"), shape]), present };
}

interface Context {
  readonly sizes: BatchSizes;
  readonly bias: Value;
  readonly past: KeysAndValues | undefined;
  readonly scale: number;
  readonly isFused: boolean;
}

function attend(g: GraphBuilder, x: Value, name: string, { width, heads, headWidth }: Gpt2, context: Context) {
  const { sizes, bias, past, scale, isFused } = context;
  const packed = conv1d(g, x, `${name}.c_attn`, width, 3 * width);
  const split = g.ops("Split", [packed], 3, { axis: 1, num_outputs: 3 });
  const [queries = x, keys = x, values = x] = split.map((flat) => splitHeads(g, flat, sizes, heads, headWidth));
  const all = { queries, keys, values, heads, keyHeads: heads, headWidth, bias, past, scale, softcap: 0 };
  const { mixed, present } = (isFused ? fusedAttention : standardAttention)(g, all);
  return { output: conv1d(g, mixed, `${name}.c_proj`, width, width), present };
}

/** y = x W + b: a linear layer whose weight is stored as [in, out]. */
function conv1d(g: GraphBuilder, x: Value, name: string, width: number, out: number): Value {
  return g.op("Gemm", [x, g.weight(`${name}.weight`, [width, out]), g.weight(`${name}.bias`, [out])]);
}
