import type { GraphProto, ValueInfoProto } from "../../../shared/gen/onnx/onnx_pb.js";
import { dataTypeName } from "../../../shared/onnx/element-types.js";

/** An input or output of an export. */
export interface ExportValue {
  readonly name: string;
  /** ONNX's name of the element type: "FLOAT", "INT64" and so on. */
  readonly type: string;
  /** A text names a size that is known when the model runs; undefined is one without a name. Empty when nothing is said. */
  readonly shape: readonly (number | string | undefined)[];
}

export interface ExportDescription {
  readonly inputs: readonly ExportValue[];
  readonly outputs: readonly ExportValue[];
}

/** What an export takes and gives. Weights that old exporters list as inputs are left out. */
export function describeExport(graph: GraphProto): ExportDescription {
  const weights = new Set(graph.initializer.map(({ name }) => name));
  return {
    inputs: graph.input.filter(({ name }) => !weights.has(name)).map(describe),
    outputs: graph.output.map(describe),
  };
}

function describe({ name, type }: ValueInfoProto): ExportValue {
  const tensor = type?.value.case === "tensorType" ? type.value.value : undefined;
  const shape = (tensor?.shape?.dim ?? []).map(({ value }) => {
    if (value.case === "dimValue") return Number(value.value);
    return value.case === "dimParam" ? value.value : undefined;
  });
  return { name, type: dataTypeName(tensor?.elemType ?? 0), shape };
}
