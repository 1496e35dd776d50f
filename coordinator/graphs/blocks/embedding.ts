import type { GraphBuilder, Value } from "../../../shared/onnx/graph-builder.js";

/** Rows of the table `name` of [rows, width], by index: indices of any shape to [...indices, width]. */
export function embedding(g: GraphBuilder, indices: Value, name: string, rows: number, width: number): Value {
  return g.op("Gather", [g.weight(name, [rows, width]), indices], { axis: 0 });
}
