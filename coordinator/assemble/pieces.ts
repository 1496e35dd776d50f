import { dtypeBits } from "../../shared/checkpoint/dtypes.js";
import { AmalgamError } from "../../shared/errors.js";
import { formatCount, quote } from "../../shared/quote.js";
import { type ElementRange, missingRanges } from "../plan/ranges.js";
import type { Plan, PlannedTensor } from "../plan/types.js";

/** What is known of an output piece once its bytes are in place: a PieceReceipt, its piece looked up in the unit. */
export interface PieceResult extends ElementRange {
  /** Into Plan.tensors. */
  readonly tensor: number;
  readonly bytes: number;
  /** CRC-32 of all the piece's bytes. */
  readonly crc32: number;
  readonly nonFinite: number;
  readonly overflowed: number;
  /** The largest |x| before rounding; may be infinite. */
  readonly largest: number;
  /** One per program input. */
  readonly inputsNonFinite: readonly number[];
}

/** Absolute byte range of a piece in its output file. */
export interface ByteRange {
  readonly begin: number;
  readonly end: number;
}

/** A piece and where it is in its file. */
export interface PlacedPiece {
  readonly piece: PieceResult;
  readonly range: ByteRange;
}

/**
 * Which pieces of the output are in place. Pieces of a tensor never overlap: whichever came first counts, and a later
 * one that covers nothing new is ignored.
 */
export class Pieces {
  readonly #plan: Plan;
  readonly #byTensor = new Map<number, PieceResult[]>();
  /** The tensors of each file. */
  readonly #tensors: readonly number[][];
  /** Elements still to come, by file. */
  readonly #missing: number[];
  /** Elements still to come, all files. */
  #missingElements = 0;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#missing = plan.files.map(() => 0);
    this.#tensors = plan.files.map(() => []);
    for (const [tensor, { file, elements }] of plan.tensors.entries()) {
      this.#tensors[file]?.push(tensor);
      this.#count(file, elements);
    }
  }

  /** Whether every element of every tensor is in place. */
  get isWhole(): boolean {
    return this.#missingElements === 0;
  }

  isFileWhole(file: number): boolean {
    return this.#missing[file] === 0;
  }

  /** The pieces of one tensor, in order. */
  of(tensor: number): readonly PieceResult[] {
    return this.#byTensor.get(tensor) ?? [];
  }

  /** The pieces of one file with their places in it, in order. */
  inFile(file: number): PlacedPiece[] {
    return (this.#tensors[file] ?? []).flatMap((tensor) => {
      const planned = tensorOf(this.#plan, tensor);
      return this.of(tensor).map((piece) => ({ piece, range: bytesOf(planned, piece) }));
    });
  }

  /** The pieces of one file that follow one another without a gap from a byte on, which lies between two pieces. */
  contiguousFrom(file: number, byte: number): PlacedPiece[] {
    const tensors = this.#tensors[file] ?? [];
    const found: PlacedPiece[] = [];
    let at = byte;
    for (let i = this.#firstEndingAfter(tensors, byte); i < tensors.length; i += 1) {
      const planned = tensorOf(this.#plan, tensors[i] ?? -1);
      for (const piece of this.of(tensors[i] ?? -1)) {
        const range = bytesOf(planned, piece);
        if (range.end <= at) continue;
        if (range.begin !== at) return found;
        found.push({ piece, range });
        at = range.end;
      }
      if (at < planned.offset + planned.bytes) return found;
    }
    return found;
  }

  /** Where in a file's tensors, which are in order, the first one stands that ends behind a byte. */
  #firstEndingAfter(tensors: readonly number[], byte: number): number {
    let [low, high] = [0, tensors.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { offset, bytes } = tensorOf(this.#plan, tensors[middle] ?? -1);
      if (offset + bytes > byte) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** What is in place, by tensor: a live view for the dispatcher. */
  get done(): ReadonlyMap<number, readonly ElementRange[]> {
    return this.#byTensor;
  }

  /** Takes a piece in. False when all of it is in place already. */
  add(piece: PieceResult): boolean {
    const planned = tensorOf(this.#plan, piece.tensor);
    assertFits(planned, piece);
    const known = this.#byTensor.get(piece.tensor) ?? [];
    const overlapping = known.filter((other) => other.begin < piece.end && piece.begin < other.end);
    const gaps = missingRanges(overlapping, piece);
    if (gaps.length === 0) return false;
    if (overlapping.length > 0) {
      throw new RangeError(`Cannot add ${describe(planned, piece)}: it overlaps ${describe(planned, overlapping[0])}`);
    }
    const at = known.findIndex((other) => other.begin > piece.begin);
    known.splice(at < 0 ? known.length : at, 0, piece);
    this.#byTensor.set(piece.tensor, known);
    this.#count(planned.file, piece.begin - piece.end);
    return true;
  }

  /** Forgets a piece, so that it counts as missing again. */
  drop({ tensor, begin, end }: { readonly tensor: number } & ElementRange): void {
    const known = this.#byTensor.get(tensor) ?? [];
    const at = known.findIndex((piece) => piece.begin === begin && piece.end === end);
    if (at < 0) return;
    known.splice(at, 1);
    if (known.length === 0) this.#byTensor.delete(tensor);
    this.#count(tensorOf(this.#plan, tensor).file, end - begin);
  }

  #count(file: number, elements: number): void {
    this.#missing[file] = (this.#missing[file] ?? 0) + elements;
    this.#missingElements += elements;
  }
}

/** Where a piece's bytes are in the tensor's file. */
export function bytesOf({ offset, dtype }: PlannedTensor, { begin, end }: ElementRange): ByteRange {
  const bits = dtypeBits(dtype);
  return { begin: offset + (begin * bits) / 8, end: offset + (end * bits) / 8 };
}

export function tensorOf(plan: Plan, tensor: number): PlannedTensor {
  const planned = plan.tensors[tensor];
  if (planned === undefined) throw new RangeError(`No tensor ${tensor} in a plan of ${plan.tensors.length}`);
  return planned;
}

/** A receipt that speaks of other bytes than the plan is not believed. */
function assertFits(planned: PlannedTensor, piece: PieceResult): void {
  const { begin, end, bytes } = piece;
  const inside = Number.isSafeInteger(begin) && Number.isSafeInteger(end) && begin >= 0 && begin <= end;
  const range = bytesOf(planned, piece);
  if (inside && end <= planned.elements && range.end - range.begin === bytes) return;
  throw new AmalgamError(
    "chunk_corrupt",
    `Cannot accept ${describe(planned, piece)}: it has ${formatCount(bytes)} bytes and the plan says ` +
      `${formatCount(range.end - range.begin)} of a tensor of ${formatCount(planned.elements)} elements`,
    { details: { tensor: planned.name } },
  );
}

function describe({ name }: PlannedTensor, range: ElementRange | undefined): string {
  return `elements [${range?.begin}, ${range?.end}) of ${quote(name)}`;
}
