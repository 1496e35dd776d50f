import { dirname, relative, sep } from "node:path";
import { create } from "@bufbuild/protobuf";
import type { Checkpoint, CheckpointTensor } from "../checkpoint/open.js";
import { TensorProto_DataLocation as DataLocation, type TensorProto, TensorProtoSchema } from "../gen/onnx/onnx_pb.js";
import { quote } from "../quote.js";

/** Where a checkpoint's bytes are found. */
export interface Place {
  readonly checkpoint: Checkpoint;
  /** What the graph's external data is relative to. */
  readonly folder: string;
}

/**
 * The folder that a checkpoint's files are found from: its own, or the nearest that holds them all when links lead out of
 * it. ONNX Runtime takes external data from below one folder only, links followed.
 */
export function commonFolder(checkpoint: Checkpoint): string {
  let folder = checkpoint.root;
  for (const { path } of checkpoint.files) while (!isBelow(folder, path)) folder = dirname(folder);
  return folder;
}

function isBelow(folder: string, path: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

/** An initializer whose data are the bytes of a checkpoint's tensor. `shape` is the tensor's unless its view is another. */
export function storedTensor(
  name: string,
  tensor: CheckpointTensor,
  dataType: number,
  { checkpoint, folder }: Place,
  shape: readonly number[] = tensor.shape,
): TensorProto {
  const file = checkpoint.files[tensor.file];
  if (file === undefined) throw new RangeError(`Tensor ${quote(tensor.name)} is in file ${tensor.file}, which is none`);
  // The three keys as the ONNX specification names them.
  const place = { location: relative(folder, file.path), offset: tensor.offset, length: tensor.bytes };
  return create(TensorProtoSchema, {
    name,
    dims: shape.map(BigInt),
    dataType,
    dataLocation: DataLocation.EXTERNAL,
    externalData: Object.entries(place).map(([key, value]) => ({ key, value: String(value) })),
  });
}
