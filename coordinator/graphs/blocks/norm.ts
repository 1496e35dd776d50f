import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";

/**
 * LayerNorm over the last axis, with `<name>.weight` and `<name>.bias` of [width], or what `words` has instead of the
 * last parts of those names.
 */
export function layerNorm(
  g: GraphBuilder,
  x: Value,
  name: string,
  width: number,
  epsilon: number,
  words: { readonly scale: string; readonly shift: string } = { scale: "weight", shift: "bias" },
): Value {
  const scale = g.weight(`${name}.${words.scale}`, [width]);
  const shift = g.weight(`${name}.${words.shift}`, [width]);
  return g.op("LayerNormalization", [x, scale, shift], { axis: -1, epsilon: { float: epsilon } });
}

/**
 * RMSNorm over the last axis: x / sqrt(mean(x²) + ε) · weight (Zhang and Sennrich, 2019). `offset` is added to the
 * weight: Gemma stores it less one.
 */
export function rmsNorm(g: GraphBuilder, x: Value, name: string, width: number, epsilon: number, offset = 0): Value {
  const weight = g.weight(`${name}.weight`, [width]);
  const scale = offset === 0 ? weight : g.op("Add", [weight, g.constant("FLOAT", offset)]);
  return g.op("RMSNormalization", [x, scale], { axis: -1, epsilon: { float: epsilon } });
}
