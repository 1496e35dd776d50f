import { type Dtype, dtypeBytes, isComputable } from "../../shared/checkpoint/dtypes.js";
import type { Checkpoint, CheckpointTensor } from "../../shared/checkpoint/open.js";
import { TensorReader } from "../../shared/checkpoint/tensor-reader.js";
import { DifferenceSum, type NumberDifference } from "./tensor-difference.js";

/** One tensor of either checkpoint. */
export type TensorDiff =
  | {
      readonly name: string;
      readonly kind: "only-a" | "only-b";
      readonly dtype: Dtype;
      readonly shape: readonly number[];
    }
  | { readonly name: string; readonly kind: "shape"; readonly shapes: readonly [readonly number[], readonly number[]] }
  /** Different dtypes, at least one of which is not numbers to compute with. */
  | { readonly name: string; readonly kind: "dtype"; readonly dtypes: readonly [Dtype, Dtype] }
  /** Equal bit for bit. */
  | { readonly name: string; readonly kind: "equal"; readonly dtype: Dtype; readonly bytes: number }
  /** Not numbers to compute with, such as token ids or packed weights. */
  | {
      readonly name: string;
      readonly kind: "bytes";
      readonly dtype: Dtype;
      readonly bytes: number;
      readonly differing: number;
    }
  | ({ readonly name: string; readonly kind: "numbers"; readonly dtypes: readonly [Dtype, Dtype] } & NumberDifference);

export interface DiffReport {
  readonly a: string;
  readonly b: string;
  /** By name. */
  readonly tensors: readonly TensorDiff[];
  readonly totals: DiffTotals;
}

export interface DiffTotals {
  readonly tensors: number;
  readonly equal: number;
  /** In both, and neither equal nor impossible to compare. */
  readonly different: number;
  readonly onlyA: number;
  readonly onlyB: number;
  /** Shape or dtype stands in the way. */
  readonly incomparable: number;
  /** The largest |a − b| and its tensor; undefined when no numbers were compared. */
  readonly largest: { readonly tensor: string; readonly value: number } | undefined;
  readonly nonFinite: number;
  readonly isEqual: boolean;
}

export interface DiffOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called after each tensor with the bytes read so far, of both checkpoints. */
  readonly onProgress?: ((bytesRead: number) => void) | undefined;
}

/** Elements compared at a time: what of a model is in memory. */
const tileElements = 1 << 20;

/**
 * Compares two checkpoints tensor by tensor, whatever their files, dtypes and sizes. Numbers are compared as numbers, also
 * across dtypes; a few megabytes are held at a time.
 */
export async function diffCheckpoints(a: Checkpoint, b: Checkpoint, options: DiffOptions = {}): Promise<DiffReport> {
  const tensors: TensorDiff[] = [];
  await using left = new TensorReader(a);
  await using right = new TensorReader(b);
  // In the order of a's files, so that the disk is read from front to back.
  for (const tensor of a.tensors.values()) {
    const other = b.tensors.get(tensor.name);
    if (other === undefined) {
      tensors.push({ name: tensor.name, kind: "only-a", dtype: tensor.dtype, shape: tensor.shape });
    } else tensors.push(await compare({ reader: left, tensor }, { reader: right, tensor: other }, options.signal));
    options.onProgress?.(left.bytesRead + right.bytesRead);
  }
  for (const { name, dtype, shape } of b.tensors.values()) {
    if (!a.tensors.has(name)) tensors.push({ name, kind: "only-b", dtype, shape });
  }
  tensors.sort((x, y) => (x.name < y.name ? -1 : 1));
  return { a: a.directory, b: b.directory, tensors, totals: total(tensors) };
}

interface Side {
  readonly reader: TensorReader;
  readonly tensor: CheckpointTensor;
}

async function compare(a: Side, b: Side, signal: AbortSignal | undefined): Promise<TensorDiff> {
  const { name, dtype, shape, bytes } = a.tensor;
  const dtypes = [dtype, b.tensor.dtype] as const;
  if (shape.length !== b.tensor.shape.length || shape.some((size, i) => size !== b.tensor.shape[i])) {
    return { name, kind: "shape", shapes: [shape, b.tensor.shape] };
  }
  const isNumbers = isComputable(dtype) && isComputable(dtypes[1]);
  if (dtype !== dtypes[1] && !isNumbers) return { name, kind: "dtype", dtypes };

  const tiles = tilesOf(a, b, isNumbers ? dtypeBytes(dtype) : 1, isNumbers ? dtypeBytes(dtypes[1]) : 1, signal);
  if (dtype === dtypes[1] && (await areEqual(tiles()))) return { name, kind: "equal", dtype, bytes };
  if (isNumbers) {
    const sum = new DifferenceSum();
    for await (const [left, right] of tiles()) sum.add({ dtype, bytes: left }, { dtype: dtypes[1], bytes: right });
    return { name, kind: "numbers", dtypes, ...sum.result() };
  }
  let differing = 0;
  for await (const [left, right] of tiles()) differing += differingBytes(left, right);
  return { name, kind: "bytes", dtype, bytes, differing };
}

type Tile = readonly [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>];

/** The same elements of two tensors, tile by tile; an element has these widths in bytes. */
function tilesOf(a: Side, b: Side, widthA: number, widthB: number, signal?: AbortSignal): () => AsyncGenerator<Tile> {
  return async function* () {
    const elements = a.tensor.bytes / widthA;
    for (let begin = 0; begin < elements; begin += tileElements) {
      signal?.throwIfAborted();
      const count = Math.min(tileElements, elements - begin);
      const left = await a.reader.read(a.tensor, begin * widthA, count * widthA);
      yield [left, await b.reader.read(b.tensor, begin * widthB, count * widthB)];
    }
  };
}

/** Whether all bits are equal. Ends at the first difference, since much of two related models often is. */
async function areEqual(tiles: AsyncIterable<Tile>): Promise<boolean> {
  for await (const [left, right] of tiles) if (Buffer.compare(left, right) !== 0) return false;
  return true;
}

function differingBytes(a: Uint8Array, b: Uint8Array): number {
  let differing = 0;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) differing += 1;
  return differing;
}

function total(tensors: readonly TensorDiff[]): DiffTotals {
  const count = (...kinds: readonly TensorDiff["kind"][]): number =>
    tensors.filter(({ kind }) => kinds.includes(kind)).length;
  const numbers = tensors.filter((diff) => diff.kind === "numbers");
  const [largest] = numbers.toSorted((x, y) => y.largest - x.largest);
  const equal = count("equal");
  return {
    tensors: tensors.length,
    equal,
    different: count("numbers", "bytes"),
    onlyA: count("only-a"),
    onlyB: count("only-b"),
    incomparable: count("shape", "dtype"),
    largest: largest && { tensor: largest.name, value: largest.largest },
    nonFinite: numbers.reduce((sum, { nonFinite }) => sum + nonFinite, 0),
    isEqual: equal === tensors.length,
  };
}
