import type { PlannedInput, RowMap as PlannedRowMap, StoredTensor } from "../../coordinator/plan/types.js";
import { TileMemory } from "../../node-agent/compute/wasm/memory.js";
import { CombinedRows } from "../../node-agent/inputs/combinations.js";
import type { PieceInput, RowMap, StoredInput } from "../../node-agent/inputs/input.js";
import { openInputs } from "../../node-agent/inputs/open.js";
import { ReadContext } from "../../node-agent/inputs/reader.js";
import { narrow } from "../../shared/checkpoint/convert.js";
import { type ComputableDtype, dtypeBits } from "../../shared/checkpoint/dtypes.js";
import { tileSlack } from "../../shared/expression/tiles.js";
import { derivedInput, type ReadStored } from "./derived-inputs.js";

/** One file in memory, tensor after tensor, each at an odd offset as safetensors allows. */
export class MemoryFile {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  add(values: Float32Array, dtype: ComputableDtype): StoredTensor {
    const bytes = narrow(dtype, values);
    this.#append(new Uint8Array(3));
    const offset = this.#length;
    this.#append(bytes);
    return { source: 0, offset, dtype, bytes: bytes.length };
  }

  get bytes(): Uint8Array {
    return Buffer.concat(this.#parts);
  }

  #append(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.#length += bytes.length;
  }
}

/** A planned input as a worker has it, whole. */
export function pieceInput(input: StoredTensor & Pick<PlannedInput, "rows">): PieceInput {
  const { rows } = input;
  return { ...storedInput(input), ...(rows === undefined ? {} : { rows: wholeMap(rows) }) };
}

function wholeMap({ tensors, segments }: PlannedRowMap): RowMap {
  return {
    tensors: tensors.map((tensor) => ({ ...storedInput(tensor), rows: tensor.rows })),
    firstRow: 0,
    segments,
  };
}

function storedInput({ source, offset, dtype, updates }: StoredTensor): StoredInput {
  const place = { file: source, offset, dtype };
  if (updates === undefined) return place;
  return {
    ...place,
    updates: updates.map((update) => ({ ...update, a: storedInput(update.a), b: storedInput(update.b) })),
  };
}

export interface ReadResult {
  readonly values: Float32Array;
  readonly bytesRead: number;
}

/** Reads a derived input with an agent's readers, in tiles of the given sizes, repeated. */
export function readTiles(
  input: PieceInput,
  shape: readonly number[],
  file: Uint8Array,
  tiles: readonly number[],
  memory = new TileMemory(64 << 20),
): ReadResult {
  memory.reset();
  const elements = shape.reduce((product, dimension) => product * dimension, 1);
  const address = memory.allocate(4 * (Math.max(...tiles) + tileSlack), "a tile");
  let bytesRead = 0;
  const context = new ReadContext(
    memory,
    (_, into, position) => into.set(file.subarray(position, position + into.length)),
    (bytes) => {
      bytesRead += bytes;
    },
  );
  const [reader] = openInputs([input], shape, context, new CombinedRows());
  const values = new Float32Array(elements);
  for (let at = 0, tile = 0; at < elements; tile += 1) {
    const count = Math.min(tiles[tile % tiles.length] ?? 1, elements - at);
    reader?.read(at, at + count, address);
    values.set(new Float32Array(memory.memory.buffer, address, count), at);
    at += count;
  }
  return { values, bytesRead: bytesRead + context.takeBytesRead() };
}

/** What the reader must give. */
export function expectedValues(
  input: StoredTensor & Pick<PlannedInput, "rows">,
  shape: readonly number[],
  file: Uint8Array,
): Float32Array {
  const read: ReadStored = ({ offset, dtype }, elements) => {
    return file.slice(offset, offset + (elements * dtypeBits(dtype)) / 8);
  };
  return derivedInput(input, shape, read);
}

/** The bits of every element, all NaNs being one: which of them an operation gives is not specified. */
export function bitsOf(values: Float32Array): Uint32Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return bits.map((pattern) => ((pattern & 0x7fff_ffff) > 0x7f80_0000 ? 0x7fc0_0000 : pattern));
}
