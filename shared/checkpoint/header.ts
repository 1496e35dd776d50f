import type { AmalgamError } from "../errors.js";
import { formatCount, quote } from "../quote.js";
import type { Dtype } from "./dtypes.js";
import {
  assertFirstByte,
  assertHeaderLength,
  type HeaderContext,
  headerError,
  lengthBytes,
  maxHeaderBytes,
  maxNameBytes,
  maxTensorsPerFile,
} from "./header-limits.js";
import { JsonScanner } from "./json-scanner.js";
import { assertTiled } from "./layout.js";
import { StringTable } from "./string-table.js";
import { tensorBytes } from "./tensor-bytes.js";
import { metadataKey, readMetadata, readTensorEntry, type TensorEntry } from "./tensor-entry.js";

export type { HeaderContext } from "./header-limits.js";
export type { TensorEntry } from "./tensor-entry.js";

export type Header = {
  /** Sorted by offset; tensors without elements keep the file's order. */
  readonly tensors: readonly TensorEntry[];
  /** The text of `__metadata__`, such as `format` → `pt`; empty when there is none. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Where tensor data starts in the file: 8 + the header's length. */
  readonly dataOffset: number;
};

/**
 * Parses a safetensors header, given without the eight bytes before it. What it accepts is a subset of what the
 * reference reader accepts: also refused are duplicate and unknown keys, `null` metadata, numbers above 2^53 - 1 and
 * padding other than spaces, on which readers differ. Every problem is a `checkpoint_malformed` that names the file, and
 * the tensor where there is one. `strings`: where names are looked up that other files may have too.
 */
export function parseHeader(bytes: Uint8Array, context: HeaderContext, strings = new StringTable()): Header {
  let tensor: string | undefined;
  const malformed = (problem: string): AmalgamError => headerError(context.file, problem, tensor);
  const scanner = new JsonScanner(bytes, (problem, at) => malformed(`it ${problem} (byte ${at})`), strings);
  assertHeaderLength(BigInt(bytes.length), context);
  assertFirstByte(bytes, context);

  const names = new Set<string>();
  const tensors: TensorEntry[] = [];
  let metadata: ReadonlyMap<string, string> | undefined;
  scanner.expect(0x7b);
  let more = !scanner.skip(0x7d);
  while (more) {
    tensor = scanner.string(maxNameBytes);
    if (names.size === names.add(tensor).size) throw malformed("it is listed twice");
    scanner.expect(0x3a);
    if (tensor === metadataKey) metadata = readMetadata(scanner);
    else tensors.push(readTensorEntry(scanner, tensor));
    tensor = undefined;
    if (tensors.length > maxTensorsPerFile) {
      throw malformed(`it has more than ${formatCount(maxTensorsPerFile)} tensors`);
    }
    more = scanner.another(0x7d);
  }
  scanner.end();

  const dataOffset = lengthBytes + bytes.length;
  const sorted = assertTiled(tensors, { ...context, dataOffset });
  return { tensors: sorted, metadata: metadata ?? new Map(), dataOffset };
}

/** One tensor to write; its place follows from those before it. */
export type NewTensor = {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
};

/**
 * The first bytes of a safetensors file, its length included: the entries in the given order, tiling from 0, padded with
 * spaces to a multiple of 8 so that tensor data is aligned like the reference writer's. Equal arguments give equal bytes.
 * An entry that a reader would refuse is a bug of the caller and throws a `RangeError`.
 */
export function formatHeader(
  entries: Iterable<NewTensor>,
  metadata: ReadonlyMap<string, string> = new Map(),
): Uint8Array<ArrayBuffer> {
  const names = new Set<string>([metadataKey]);
  const parts: string[] = [];
  if (metadata.size > 0) {
    const pairs = [...metadata].map(([key, text]) => `${formatText(key)}:${formatText(text)}`);
    parts.push(`"${metadataKey}":{${pairs.join(",")}}`);
  }
  let offset = 0;
  for (const { name, dtype, shape } of entries) {
    if (names.has(name)) throw new RangeError(`Cannot write tensor ${quote(name)}: the name is taken`);
    names.add(name);
    const end = offset + (tensorBytes(dtype, shape) ?? Number.NaN);
    if (!Number.isSafeInteger(end) || !shape.every((dimension) => Number.isInteger(dimension) && dimension >= 0)) {
      throw new RangeError(`Cannot write tensor ${quote(name)}: ${dtype} of shape [${shape.join(", ")}] at ${offset}`);
    }
    const key = formatText(name);
    // Counted as written, so that our own reader never finds the name too long.
    if (Buffer.byteLength(key) - 2 > maxNameBytes) {
      throw new RangeError(`Cannot write tensor ${quote(name)}: its name is longer than ${maxNameBytes} bytes`);
    }
    parts.push(`${key}:{"dtype":"${dtype}","shape":[${shape.join(",")}],"data_offsets":[${offset},${end}]}`);
    offset = end;
  }
  const count = names.size - 1;
  if (count > maxTensorsPerFile) {
    throw new RangeError(`Cannot write ${formatCount(count)} tensors to one file: the limit is ${maxTensorsPerFile}`);
  }
  return withLength(new TextEncoder().encode(`{${parts.join(",")}}`));
}

function withLength(json: Uint8Array): Uint8Array<ArrayBuffer> {
  const padded = Math.ceil(json.length / 8) * 8;
  if (padded > maxHeaderBytes) {
    throw new RangeError(`Cannot write a header of ${formatCount(padded)} bytes: the limit is ${maxHeaderBytes}`);
  }
  const bytes = new Uint8Array(lengthBytes + padded).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(json, lengthBytes);
  return bytes;
}

function formatText(text: string): string {
  if (/\p{Surrogate}/u.test(text)) throw new RangeError(`Cannot write ${quote(text)}: it is not Unicode text`);
  return JSON.stringify(text);
}
