import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";
import { activate } from "../blocks/activation.js";
import { attention, type BatchSizes, batchSizes, joinHeads, paddingBias, splitHeads } from "../blocks/attention.js";
import { embedding } from "../blocks/embedding.js";
import { type Linear, linear } from "../blocks/linear.js";
import { layerNorm } from "../blocks/norm.js";
import { relativeBias } from "../blocks/relative-bias.js";
import type { EncoderFamily, EncoderSizes } from "./family.js";
import type { EncoderTensors } from "./tensors.js";

/** Distances that MPNet's code has fixed. */
const maxDistance = 128;

/** What the graph of a batch of texts begins with, each [batch, time] of INT64. */
export interface TextInputs {
  readonly ids: Value;
  readonly mask: Value;
  readonly types: Value | undefined;
}

/** An encoder, ready to be written into a graph: its family, its sizes, and what its checkpoint calls things. */
export class EncoderModel {
  readonly #g: GraphBuilder;
  readonly #family: EncoderFamily;
  readonly #sizes: EncoderSizes;
  readonly #tensors: EncoderTensors;

  constructor(g: GraphBuilder, family: EncoderFamily, sizes: EncoderSizes, tensors: EncoderTensors) {
    this.#g = g;
    this.#family = family;
    this.#sizes = sizes;
    this.#tensors = tensors;
  }

  /** The last hidden states, [batch, time, width]. Layers norm after adding, as in Vaswani et al., 2017, section 3.1. */
  hidden(inputs: TextInputs): Value {
    const g = this.#g;
    const sizes = batchSizes(g, inputs.ids);
    const bias = this.#attentionBias(inputs.mask, sizes);
    let x = this.#embed(inputs);
    for (let layer = 0; layer < this.#sizes.layers; layer++) x = this.#layer(x, layer, sizes, bias);
    const { batch, time } = sizes;
    return g.op("Reshape", [x, g.op("Concat", [batch, time, g.constant("INT64", [this.#sizes.width])], { axis: 0 })]);
  }

  #embed({ ids, mask, types }: TextInputs): Value {
    const [g, { vocabulary, embeddingWidth, width, positions, tokenTypes }] = [this.#g, this.#sizes];
    const table = (name: string) => `${this.#tensors.prefix}embeddings.${name}.weight`;
    let sum = embedding(g, ids, table("word_embeddings"), vocabulary, embeddingWidth);
    if (this.#family.tokenTypes !== undefined) {
      const type = types ?? g.constant("INT64", 0);
      sum = g.op("Add", [sum, embedding(g, type, table("token_type_embeddings"), tokenTypes, embeddingWidth)]);
    }
    const places = embedding(g, this.#places(mask), table("position_embeddings"), positions, embeddingWidth);
    const rows = g.op("Reshape", [g.op("Add", [sum, places]), g.constant("INT64", [-1, embeddingWidth])]);
    const x = this.#norm(rows, "embeddings.LayerNorm", embeddingWidth);
    if (embeddingWidth === width) return x;
    return this.#linear(x, { name: "embeddings_project", in: embeddingWidth, out: width });
  }

  /** Rows of the table of positions, [batch, time]: tokens count, padding does not. */
  #places(mask: Value): Value {
    const [g, { firstPosition }] = [this.#g, this.#sizes];
    const counted = g.op("Sub", [g.op("CumSum", [mask, g.constant("INT64", 1)]), g.constant("INT64", 1)]);
    const fromZero = g.op("Max", [counted, g.constant("INT64", 0)]);
    return firstPosition === 0 ? fromZero : g.op("Add", [fromZero, g.constant("INT64", firstPosition)]);
  }

  #attentionBias(mask: Value, { time }: BatchSizes): Value {
    const [g, learned] = [this.#g, this.#family.relativeBias];
    const padding = paddingBias(g, mask);
    if (learned === undefined) return padding;
    const last = g.op("Squeeze", [time, g.constant("INT64", [0])]);
    const places = g.op("Range", [g.constant("INT64", 0), last, g.constant("INT64", 1)]);
    const table = { name: this.#tensors.prefix + learned.name, heads: this.#sizes.heads };
    const how = { buckets: learned.buckets, maxDistance, bidirectional: true };
    return g.op("Add", [relativeBias(g, { ...table, ...how }, places, places), padding]);
  }

  #layer(x: Value, index: number, sizes: BatchSizes, bias: Value): Value {
    const [g, { width, inner, activation }] = [this.#g, this.#sizes];
    const { layer, layers } = this.#family;
    const at = (module: string) => `${layers}.${index}.${module}`;
    const attended = this.#norm(g.op("Add", [x, this.#attend(x, at, sizes, bias)]), at(layer.attentionNorm), width);
    const up = activate(g, this.#linear(attended, { name: at(layer.up), in: width, out: inner }), activation);
    const down = this.#linear(up, { name: at(layer.down), in: inner, out: width });
    return this.#norm(g.op("Add", [attended, down]), at(layer.outputNorm), width);
  }

  #attend(x: Value, at: (module: string) => string, sizes: BatchSizes, bias: Value): Value {
    const [g, { width, heads }, { layer }] = [this.#g, this.#sizes, this.#family];
    const headWidth = width / heads;
    const biasHasTimes = this.#family.relativeBias !== undefined;
    const project = (module: string) =>
      splitHeads(g, this.#linear(x, { name: at(module), in: width, out: width }), sizes, heads, headWidth);
    const [queries, keys, values] = [project(layer.query), project(layer.key), project(layer.value)];
    const mixed = attention(g, { queries, keys, values, bias, biasHasTimes, scale: headWidth ** -0.5 });
    return this.#linear(joinHeads(g, mixed, heads, headWidth), {
      name: at(layer.attentionOutput),
      in: width,
      out: width,
    });
  }

  #linear(x: Value, of: Omit<Linear, "bias">): Value {
    return linear(this.#g, x, { ...of, name: this.#tensors.prefix + of.name, bias: true });
  }

  #norm(x: Value, module: string, width: number): Value {
    const name = this.#tensors.prefix + module;
    return layerNorm(this.#g, x, name, width, this.#sizes.epsilon, this.#tensors.normWords(name));
  }
}
