import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";

/** The activation functions of transformers' `ACT2FN`, by the names that config.json has for them. */
const activations: Readonly<Record<string, (g: GraphBuilder, x: Value) => Value>> = {
  relu: (g, x) => g.op("Relu", [x]),
  gelu: (g, x) => g.op("Gelu", [x]),
  gelu_new: (g, x) => g.op("Gelu", [x], { approximate: "tanh" }),
  gelu_fast: (g, x) => g.op("Gelu", [x], { approximate: "tanh" }),
  gelu_pytorch_tanh: (g, x) => g.op("Gelu", [x], { approximate: "tanh" }),
  quick_gelu: (g, x) => g.op("Mul", [x, g.op("Sigmoid", [g.op("Mul", [x, g.constant("FLOAT", 1.702)])])]),
  silu: (g, x) => g.op("Mul", [x, g.op("Sigmoid", [x])]),
  swish: (g, x) => g.op("Mul", [x, g.op("Sigmoid", [x])]),
  tanh: (g, x) => g.op("Tanh", [x]),
};

export const activationNames: readonly string[] = Object.keys(activations);

/** `name` is one of {@link activationNames}. */
export function activate(g: GraphBuilder, x: Value, name: string): Value {
  const apply = activations[name];
  if (apply === undefined) throw new RangeError(`There is no activation ${name}`);
  return apply(g, x);
}
