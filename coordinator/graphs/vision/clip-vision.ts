import { type BuiltGraph, GraphBuilder } from "../../../shared/onnx/graph-builder.js";
import { layerNorm } from "../blocks/norm.js";
import type { ConfigReader } from "../config.js";
import type { GraphRequest, ModelGraphs } from "../types.js";
import { outputVectors, readTower } from "./clip-block.js";
import {
  assertPositionsFit,
  countPatches,
  embedPatches,
  imageBatchSizes,
  pixelInput,
  readImageShape,
  repeatToken,
} from "./patches.js";
import { transformer } from "./transformer.js";

/** Pixels to `vectors`: a ViT with a norm before its blocks too, pooled by its class token. */
export function visionTower(
  request: GraphRequest,
  config: ConfigReader,
  prefix: string,
): { readonly graph: BuiltGraph; readonly image: ModelGraphs["image"] } {
  const shape = readImageShape(config, 32);
  const model = readTower(config, prefix, { width: 768, heads: 12 });
  const { width, epsilon } = model;
  const tokens = 1 + countPatches(shape);
  const positionsName = `${prefix}embeddings.position_embedding.weight`;
  assertPositionsFit(config, request, positionsName, tokens, shape);

  const g = new GraphBuilder("clip vision");
  const pixels = pixelInput(g, shape);
  const sizes = imageBatchSizes(g, pixels, tokens);
  const cls = repeatToken(g, g.weight(`${prefix}embeddings.class_embedding`, [width]), sizes, width);
  const patches = embedPatches(g, pixels, shape, { name: `${prefix}embeddings.patch_embedding`, width, bias: false });
  const positions = g.weight(positionsName, [tokens, width]);
  const embedded = g.op("Add", [g.op("Concat", [cls, patches], { axis: 1 }), positions]);
  const flat = g.op("Reshape", [embedded, g.constant("INT64", [-1, width])]);
  // The name is misspelt in every checkpoint.
  const normed = layerNorm(g, flat, `${prefix}pre_layrnorm`, width, epsilon);
  const hidden = g.op("Reshape", [transformer(g, normed, sizes, model), g.constant("INT64", [-1, tokens, width])]);
  const first = g.op("Gather", [hidden, g.constant("INT64", 0)], { axis: 1 });
  const pooled = layerNorm(g, first, `${prefix}post_layernorm`, width, epsilon);
  outputVectors(g, pooled, request, "visual_projection", width);
  return { graph: g.build(), image: { channels: shape.channels, height: shape.size, width: shape.size } };
}
