import type { Checkpoint } from "../checkpoint/open.js";
import { TensorProto_DataType as DataType } from "../gen/onnx/onnx_pb.js";
import { byInitializer, type WeightBinding } from "./bind-weights.js";
import type { GraphWeight } from "./graph-builder.js";
import { mismatch, type Problem } from "./weight-mismatch.js";
import { isProblem, planWeight } from "./weight-plan.js";

/** The newest opset there is: graphs that we build can cast every element type. */
const opset = Number.POSITIVE_INFINITY;

/**
 * Makes sure that a checkpoint has the weights of a graph, in their shapes and in element types that become FLOAT
 * exactly. Makes nothing; throws what `bindWeights` would: one `checkpoint_mismatch` that lists all that do not fit.
 */
export function checkWeights(
  weights: readonly GraphWeight[],
  checkpoint: Checkpoint,
  bindings: readonly WeightBinding[] = [],
): void {
  const pieces = byInitializer(bindings);
  const problems: Problem[] = [];
  for (const { name, shape } of weights) {
    const wanted = { name, shape, dataType: DataType.FLOAT, opset };
    const plan = planWeight(checkpoint, wanted, pieces.get(name) ?? [{ tensor: name, transposed: false }]);
    if (isProblem(plan)) problems.push(plan);
  }
  if (problems.length > 0) throw mismatch(checkpoint, problems, weights.length);
}
