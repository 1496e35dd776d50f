import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";

/** A linear layer's place in the checkpoint and its sizes. */
export interface Linear {
  /** Of the module: its weight is `<name>.weight`, stored as [out, in]. */
  readonly name: string;
  readonly in: number;
  readonly out: number;
  /** Whether there is a `<name>.bias`. @default false */
  readonly bias?: boolean;
}

/** y = x Wᵀ + b, for x of [tokens, in]. The weight is used as it is stored, so that it can stay in its file. */
export function linear(g: GraphBuilder, x: Value, { name, in: width, out, bias = false }: Linear): Value {
  const weight = g.weight(`${name}.weight`, [out, width]);
  const shift = bias ? g.weight(`${name}.bias`, [out]) : undefined;
  return g.op("Gemm", [x, weight, shift], { transB: 1 });
}
