import { create } from "@bufbuild/protobuf";
import { AmalgamError } from "../../../shared/errors.js";
import {
  TensorProto_DataLocation as DataLocation,
  type TensorProto,
  TensorProtoSchema,
} from "../../../shared/gen/onnx/onnx_pb.js";
import { formatCount, quote } from "../../../shared/quote.js";
import { externalBytes, type OpenFiles } from "./numbers.js";

/** Constants of an export travel with its graph, so they must be small; weights are found in the base instead. */
const maxConstantBytes = 64 * 2 ** 20;

/** An initializer that stays in the graph, its data brought in from the file beside the export if it is there. */
export async function keepInside(tensor: TensorProto, folder: string, files: OpenFiles): Promise<TensorProto> {
  if (tensor.dataLocation !== DataLocation.EXTERNAL) return tensor;
  const { name, dims, dataType } = tensor;
  const { bytes, read } = externalBytes(tensor, folder, files);
  if (bytes > maxConstantBytes) {
    const message = `Cannot bind constant ${quote(name)}: it has ${formatCount(bytes)} bytes, more than ${formatCount(maxConstantBytes)}`;
    throw new AmalgamError("checkpoint_mismatch", message);
  }
  return create(TensorProtoSchema, { name, dims, dataType, rawData: await read(0, bytes) });
}
