import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";
import { activate } from "../blocks/activation.js";
import { linear } from "../blocks/linear.js";
import type { Mlp } from "./decoder.js";

export interface Gated {
  readonly width: number;
  readonly inner: number;
  /** One of `activationNames`. */
  readonly activation: string;
  /** @default false */
  readonly bias?: boolean;
  /** What a checkpoint calls its matrices. @default Llama's: gate_proj, up_proj, down_proj */
  readonly names?: typeof llamaNames;
}

const llamaNames: { readonly gate: string; readonly up: string; readonly down: string } = {
  gate: "gate_proj",
  up: "up_proj",
  down: "down_proj",
};

/** down(activation(gate(x)) · up(x)) (Shazeer, 2020, "GLU variants"), of the module `name`. */
export function gated(g: GraphBuilder, x: Value, name: string, options: Gated): Value {
  const { width, inner, activation, bias = false, names = llamaNames } = options;
  const gate = linear(g, x, { name: `${name}.${names.gate}`, in: width, out: inner, bias });
  const up = linear(g, x, { name: `${name}.${names.up}`, in: width, out: inner, bias });
  const product = g.op("Mul", [activate(g, gate, activation), up]);
  return linear(g, product, { name: `${name}.${names.down}`, in: inner, out: width, bias });
}

/** {@link gated}, as the `mlp` of a layer. */
export function gatedMlp(options: Gated): Mlp {
  return (g, x, layer) => gated(g, x, `${layer}.mlp`, options);
}

/** The same, with gate and up as the two halves of one matrix. */
export function packedGatedMlp({ width, inner, activation }: Omit<Gated, "bias" | "names">): Mlp {
  return (g, x, layer) => {
    const both = linear(g, x, { name: `${layer}.mlp.gate_up_proj`, in: width, out: 2 * inner });
    const [gate = both, up = both] = g.ops("Split", [both], 2, { axis: 1, num_outputs: 2 });
    const product = g.op("Mul", [activate(g, gate, activation), up]);
    return linear(g, product, { name: `${layer}.mlp.down_proj`, in: inner, out: width });
  };
}
