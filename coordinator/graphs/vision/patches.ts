import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";
import type { BatchSizes } from "../blocks/attention.js";
import type { ConfigReader } from "../config.js";
import type { GraphRequest } from "../types.js";

/** How a model sees an image: a square of `size` pixels, cut into squares of `patch` pixels. */
export interface ImageShape {
  readonly channels: number;
  readonly size: number;
  readonly patch: number;
}

/** `patch`: transformers' default for the family. Its other defaults are the same for all: 3 channels, 224 pixels. */
export function readImageShape(config: ConfigReader, patch: number): ImageShape {
  const shape = {
    channels: config.size("num_channels", 3),
    size: config.size("image_size", 224),
    patch: config.size("patch_size", patch),
  };
  if (shape.patch > shape.size) {
    throw config.fail("patch_size", `which is more than the ${shape.size} pixels of an image's side`);
  }
  return shape;
}

/** Pixels at the right and lower edge that do not fill a patch are not looked at. */
export function countPatches({ size, patch }: ImageShape): number {
  return Math.floor(size / patch) ** 2;
}

/** The sizes of a batch of images that are `tokens` long. */
export function imageBatchSizes(g: GraphBuilder, pixels: Value, tokens: number): BatchSizes {
  return { batch: g.op("Shape", [pixels], { start: 0, end: 1 }), time: g.constant("INT64", [tokens]) };
}

export function pixelInput(g: GraphBuilder, { channels, size }: ImageShape): Value {
  return g.input("pixel_values", "FLOAT", ["batch", channels, size, size]);
}

/** Pixels to [batch, patches, width], by the convolution `name`, whose stride is its size. */
export function embedPatches(
  g: GraphBuilder,
  pixels: Value,
  { channels, patch }: ImageShape,
  { name, width, bias }: { readonly name: string; readonly width: number; readonly bias: boolean },
): Value {
  const kernel = g.weight(`${name}.weight`, [width, channels, patch, patch]);
  const shift = bias ? g.weight(`${name}.bias`, [width]) : undefined;
  const grid = g.op("Conv", [pixels, kernel, shift], { kernel_shape: [patch, patch], strides: [patch, patch] });
  return g.op("Transpose", [g.op("Reshape", [grid, g.constant("INT64", [0, width, -1])])], { perm: [0, 2, 1] });
}

/** A learned token, one for all images: any shape with `width` elements to [batch, 1, width]. */
export function repeatToken(g: GraphBuilder, token: Value, { batch }: BatchSizes, width: number): Value {
  const row = g.op("Reshape", [token, g.constant("INT64", [1, 1, width])]);
  return g.op("Expand", [row, g.op("Concat", [batch, g.constant("INT64", [1, 1])], { axis: 0 })]);
}

/**
 * Throws `checkpoint_mismatch` where the checkpoint has learned positions for images of another size: transformers can
 * interpolate them, which is not done here.
 */
export function assertPositionsFit(
  config: ConfigReader,
  { tensors }: GraphRequest,
  name: string,
  tokens: number,
  { patch }: ImageShape,
): void {
  const stored = tensors.get(name)?.shape.at(-2);
  if (stored === undefined || stored === tokens) return;
  throw config.fail(
    "image_size",
    `which makes ${tokens} tokens of patches of ${patch} pixels, but the checkpoint has position embeddings for ${stored}: interpolating them is not supported`,
  );
}
