import { type FileHandle, open, realpath } from "node:fs/promises";
import { join, sep } from "node:path";
import { type ComputableDtype, dtypeBytes, isComputable } from "../../../shared/checkpoint/dtypes.js";
import { toNumbers } from "../../../shared/checkpoint/numbers.js";
import type { Checkpoint } from "../../../shared/checkpoint/open.js";
import { AmalgamError } from "../../../shared/errors.js";
import {
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  type TensorProto,
} from "../../../shared/gen/onnx/onnx_pb.js";
import { readingOf } from "../../../shared/onnx/element-types.js";
import { formatCount, quote } from "../../../shared/quote.js";
import { elementsOf } from "../../../shared/shape.js";

/** A tensor whose numbers are read a range at a time, so that it never has to be in memory. */
export interface Numbers {
  readonly name: string;
  readonly shape: readonly number[];
  readonly count: number;
  readonly dtype: ComputableDtype;
  /** Elements `from` to `from + count`, in row-major order. */
  read(from: number, count: number): Promise<ArrayLike<number>>;
}

/** Whether a graph reads a checkpoint's elements as its own without rounding. */
export function isReadable(stored: ComputableDtype, wanted: ComputableDtype): boolean {
  const [dataType] = Object.entries(dtypes).find(([, dtype]) => dtype === wanted) ?? [];
  return dataType !== undefined && typeof readingOf(stored, Number(dataType)) !== "string";
}

/** Bytes `from` to `from + bytes` of a tensor, in memory of their own. */
type ReadBytes = (from: number, bytes: number) => Promise<Uint8Array<ArrayBuffer>>;

const dtypes: Readonly<Partial<Record<number, ComputableDtype>>> = {
  [DataType.FLOAT]: "F32",
  [DataType.FLOAT16]: "F16",
  [DataType.BFLOAT16]: "BF16",
  [DataType.DOUBLE]: "F64",
};

/** Whether all elements are the same, as in masks, norms that were never trained, biases that never moved. */
export async function isUniform(numbers: Numbers): Promise<boolean> {
  const count = Math.min(numbers.count, 1 << 16);
  const values = await numbers.read(0, count);
  for (let i = 1; i < count; i++) if (values[i] !== values[0]) return false;
  return true;
}

/** Files that are open while numbers are read from them. */
export class OpenFiles implements AsyncDisposable {
  readonly #handles = new Map<string, Promise<FileHandle>>();

  async read(path: string, offset: number, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    let handle = this.#handles.get(path);
    if (handle === undefined) {
      handle = open(path, "r");
      this.#handles.set(path, handle);
    }
    const target = new Uint8Array(bytes);
    let done = 0;
    while (done < bytes) {
      const { bytesRead } = await (await handle).read(target, done, bytes - done, offset + done);
      if (bytesRead === 0) {
        throw new AmalgamError(
          "checkpoint_malformed",
          `Cannot read ${quote(path)}: it ends before byte ${formatCount(offset + bytes)}`,
        );
      }
      done += bytesRead;
    }
    return target;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const handle of await Promise.allSettled(this.#handles.values())) {
      if (handle.status === "fulfilled") await handle.value.close();
    }
  }
}

/** The tensors of a checkpoint that are floats. */
export function checkpointNumbers(checkpoint: Checkpoint, files: OpenFiles): readonly Numbers[] {
  return [...checkpoint.tensors.values()].flatMap(({ name, dtype, shape, file, offset }) => {
    const path = checkpoint.files[file]?.path;
    if (path === undefined || !isComputable(dtype)) return [];
    return [numbers(name, shape, dtype, (from, bytes) => files.read(path, offset + from, bytes))];
  });
}

/** An initializer's numbers, wherever an export keeps them; undefined when they are no floats, or it has none. */
export function initializerNumbers(tensor: TensorProto, folder: string, files: OpenFiles): Numbers | undefined {
  const dtype = dtypes[tensor.dataType];
  if (dtype === undefined) return undefined;
  const shape = tensor.dims.map(Number);
  if (tensor.dataLocation === DataLocation.EXTERNAL) {
    return numbers(tensor.name, shape, dtype, externalBytes(tensor, folder, files).read);
  }
  // Halves are kept in the low bits of whole numbers when they are not raw.
  const halves = Uint16Array.from(tensor.int32Data);
  const list = { F32: Float32Array.from(tensor.floatData), F64: Float64Array.from(tensor.doubleData) };
  const raw =
    tensor.rawData.length > 0 ? tensor.rawData : bytesOf(dtype === "F32" || dtype === "F64" ? list[dtype] : halves);
  const whole = numbers(
    tensor.name,
    shape,
    dtype,
    async (from, bytes) => raw.slice(from, from + bytes) as Uint8Array<ArrayBuffer>,
  );
  return whole.count * dtypeBytes(dtype) === raw.length ? whole : undefined;
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array | Float64Array | Uint16Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function numbers(name: string, shape: readonly number[], dtype: ComputableDtype, readBytes: ReadBytes): Numbers {
  const width = dtypeBytes(dtype);
  return {
    name,
    shape,
    dtype,
    count: elementsOf(shape),
    read: async (from, count) => toNumbers(dtype, await readBytes(from * width, count * width)),
  };
}

/** An initializer's data in a file beside the export. */
export function externalBytes(
  tensor: TensorProto,
  folder: string,
  files: OpenFiles,
): { readonly bytes: number; readonly read: ReadBytes } {
  const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
  const [start, bytes] = [Number(entries.get("offset") ?? 0), Number(entries.get("length") ?? 0)];
  if (!isSize(start) || !isSize(bytes)) {
    const message = `Cannot read the data of ${quote(tensor.name)}: its offset or length is no whole number of bytes`;
    throw new AmalgamError("checkpoint_malformed", message);
  }
  let path: Promise<string> | undefined;
  const read: ReadBytes = async (from, count) => {
    path ??= confined(folder, entries.get("location") ?? "", tensor.name);
    return files.read(await path, start + from, count);
  };
  return { bytes, read };
}

/** An export may name files in its own folder only, links followed. */
async function confined(folder: string, location: string, name: string): Promise<string> {
  const path = await realpath(join(folder, location)).catch((cause: unknown) => {
    const message = `Cannot read the data of ${quote(name)}: ${quote(location)} is not in ${quote(folder)}`;
    throw new AmalgamError("checkpoint_malformed", message, { cause });
  });
  if (path.startsWith(folder + sep)) return path;
  const message = `Cannot read the data of ${quote(name)}: ${quote(location)} is outside ${quote(folder)}`;
  throw new AmalgamError("path_refused", message, { details: { file: path } });
}

function isSize(bytes: number): boolean {
  return Number.isSafeInteger(bytes) && bytes >= 0;
}
