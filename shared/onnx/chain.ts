import type { NodeProto, TensorProto } from "../gen/onnx/onnx_pb.js";
import { makeNode } from "./tensors.js";

/** What is added to a graph so that something is there under its name. */
export interface GraphPart {
  readonly initializers: readonly TensorProto[];
  /** In dependency order. */
  readonly nodes: readonly NodeProto[];
}

/** One operator that reads what the step before wrote, and `others` beside. */
export interface Step {
  readonly opType: string;
  readonly others?: readonly string[];
  readonly attributes?: Readonly<Record<string, number | readonly number[]>>;
}

/** What the bytes are called that become `name` by these steps: the same, when there are none. */
export function storedName(name: string, steps: readonly Step[]): string {
  return steps.length === 0 ? name : `${name}/stored`;
}

/** Nodes that make `name` of its stored form, one step after the other. */
export function chain(name: string, steps: readonly Step[]): readonly NodeProto[] {
  const outputs = steps.map((_, i) => (i === steps.length - 1 ? name : `${name}/step/${i}`));
  return steps.map(({ opType, others = [], attributes = {} }, i) => {
    const from = outputs[i - 1] ?? storedName(name, steps);
    return makeNode(opType, [from, ...others], outputs[i] ?? name, attributes);
  });
}
