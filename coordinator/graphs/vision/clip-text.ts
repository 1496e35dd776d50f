import { type BuiltGraph, GraphBuilder, type Value } from "../../../shared/onnx/graph-builder.js";
import { batchSizes } from "../blocks/attention.js";
import { causalBias, slotsOf } from "../blocks/causal.js";
import { embedding } from "../blocks/embedding.js";
import { layerNorm } from "../blocks/norm.js";
import type { ConfigReader } from "../config.js";
import type { GraphRequest } from "../types.js";
import { outputVectors, readTower } from "./clip-block.js";
import { transformer } from "./transformer.js";

/** Before transformers 4.31, configs had this number for `eos_token_id`, whatever the tokenizer said. */
const wrongEos = 2;

/** Tokens to `vectors`: causal, pooled at the end-of-text token. */
export function textTower(
  request: GraphRequest,
  config: ConfigReader,
  prefix: string,
): { readonly graph: BuiltGraph; readonly maxTokens: number; readonly vocabulary: number } {
  const model = readTower(config, prefix, { width: 512, heads: 8 });
  const { width, epsilon } = model;
  const maxTokens = config.size("max_position_embeddings", 77);
  const vocabulary = config.size("vocab_size", 49408);

  const g = new GraphBuilder("clip text");
  const ids = g.input("input_ids", "INT64", ["batch", "time"]);
  const mask = g.input("attention_mask", "INT64", ["batch", "time"]);
  const sizes = batchSizes(g, ids);
  const tokens = embedding(g, ids, `${prefix}embeddings.token_embedding.weight`, vocabulary, width);
  const slots = slotsOf(g, mask, sizes);
  const places = embedding(g, slots.positions, `${prefix}embeddings.position_embedding.weight`, maxTokens, width);
  const embedded = g.op("Reshape", [g.op("Add", [tokens, places]), g.constant("INT64", [-1, width])]);
  const flat = transformer(g, embedded, sizes, model, causalBias(g, slots));

  const shape = g.op("Concat", [sizes.batch, sizes.time, g.constant("INT64", [width])], { axis: 0 });
  const hidden = g.op("Reshape", [flat, shape]);
  const end = endOfText(g, ids, mask, config.count("eos_token_id", 49407));
  const last = g.op("GatherND", [hidden, end], { batch_dims: 1 });
  const pooled = layerNorm(g, last, `${prefix}final_layer_norm`, width, epsilon);
  outputVectors(g, pooled, request, "text_projection", width);
  return { graph: g.build(), maxTokens, vocabulary };
}

/**
 * The place of the end-of-text token, [batch, 1]: the first one, as the tokenizer pads with more of them. Under
 * {@link wrongEos} it is the token of the highest number, as in OpenAI's code. Padding is never meant.
 */
function endOfText(g: GraphBuilder, ids: Value, mask: Value, eos: number): Value {
  const marked = eos === wrongEos ? ids : g.op("Cast", [g.op("Equal", [ids, g.constant("INT64", eos)])], { to: 7 });
  return g.op("ArgMax", [g.op("Mul", [marked, mask])], { axis: 1, keepdims: 1 });
}
