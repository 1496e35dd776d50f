import { readFile, realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { fileError } from "../../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../../shared/errors.js";
import { type GraphProto, type ModelProto, ModelProtoSchema } from "../../../shared/gen/onnx/onnx_pb.js";
import { formatCount, quote } from "../../../shared/quote.js";

/** No protocol buffer is larger, which is why exporters put the weights of large models into files beside. */
const maxModelBytes = 2 ** 31 - 1;

/** An ONNX file as an exporter wrote it. */
export interface Export {
  readonly path: string;
  /** The real path of the folder that its external data must be in. */
  readonly folder: string;
  readonly model: ModelProto;
  readonly graph: GraphProto;
}

/** Reads an ONNX file; external data stays where it is. `checkpoint_malformed` when it is none. */
export async function readExport(path: string): Promise<Export> {
  try {
    const { size } = await stat(path);
    if (size > maxModelBytes) throw malformed(path, `${formatCount(size)} bytes, more than 2 GB`);
    const { buffer, byteOffset, byteLength } = await readFile(path);
    // Not as a Buffer, whose slices share memory: what is taken out of it must begin its own.
    const model = parse(new Uint8Array(buffer, byteOffset, byteLength), path);
    if (model.graph === undefined) throw malformed(path, "it has no graph");
    return { path, folder: dirname(await realpath(path)), model, graph: model.graph };
  } catch (error) {
    throw fileError(error, path);
  }
}

function parse(bytes: Uint8Array, path: string): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw malformed(path, "it is not one", cause);
  }
}

function malformed(path: string, problem: string, cause?: unknown): AmalgamError {
  const message = `Cannot read ONNX model ${quote(path)}: ${problem}`;
  return new AmalgamError("checkpoint_malformed", message, { cause, details: { file: path } });
}
