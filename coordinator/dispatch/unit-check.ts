import { crc32 } from "node:zlib";
import { toSafeNumber } from "../../shared/bytes.js";
import { AmalgamError } from "../../shared/errors.js";
import type { Chunk, GatheredPartial, PieceReceipt } from "../../shared/gen/amalgam/v1/agent_pb.js";
import { formatCount, quote } from "../../shared/quote.js";
import { combineCrc32 } from "../../shared/rpc/crc32.js";
import type { PieceResult } from "../assemble/pieces.js";
import { type PartialResult, PartialsCheck } from "./partials-check.js";
import type { ExpectedPiece, UnitRequest } from "./request.js";

/** A checked chunk's place in the output. */
export interface PlacedChunk {
  /** Into Plan.files. */
  readonly file: number;
  /** From the start of that file. */
  readonly offset: number;
  readonly data: Uint8Array;
}

interface PieceProgress {
  readonly expected: ExpectedPiece;
  /** Bytes received so far, all of them from the start on, and their CRC-32. */
  received: number;
  crc32: number;
  receipt: PieceResult | undefined;
}

/**
 * Holds what an agent sends against what its unit must bring: every byte of every piece once and in order, every
 * receipt once, every partial result once. The first thing that does not fit fails with `chunk_corrupt` and names the
 * tensor and the exact range.
 */
export class UnitCheck {
  readonly #request: UnitRequest;
  readonly #agent: string;
  readonly #pieces: readonly PieceProgress[];
  readonly #partials: PartialsCheck | undefined;

  constructor(request: UnitRequest, agent: string) {
    this.#request = request;
    this.#agent = agent;
    this.#pieces = request.pieces.map((expected) => ({ expected, received: 0, crc32: 0, receipt: undefined }));
    const { task } = request;
    if (task.kind === "gather") this.#partials = new PartialsCheck(request.pieces, task.pass, this.#corrupt);
  }

  chunk({ piece: index, offset: wireOffset, data, crc32: sent }: Chunk): PlacedChunk {
    const piece = this.#piece(index, "chunk");
    const { tensor, bytes, file, offset: pieceOffset } = piece.expected;
    const offset = this.#size(wireOffset, "chunk offset");
    const range = (): string =>
      `bytes [${formatCount(offset)}, ${formatCount(offset + data.length)}) of ${quote(tensor)}`;
    if (this.#request.task.kind !== "stream") throw this.#corrupt(`sent ${range()}, which nobody asked for`, tensor);
    if (data.length === 0) throw this.#corrupt(`sent a chunk without data at ${range()}`, tensor);
    if (offset + data.length > bytes) {
      throw this.#corrupt(`sent ${range()}, beyond the end of the piece at ${formatCount(bytes)}`, tensor);
    }
    if (offset < piece.received) {
      throw this.#corrupt(`sent ${range()} again: ${formatCount(piece.received)} bytes were there already`, tensor);
    }
    if (offset > piece.received) throw this.#missing(piece, offset);
    const computed = crc32(data);
    if (computed !== sent) {
      throw this.#corrupt(`sent ${range()} damaged: CRC-32 ${hex(computed)}, and ${hex(sent)} was announced`, tensor);
    }
    piece.crc32 = piece.received === 0 ? computed : combineCrc32(piece.crc32, computed, data.length);
    piece.received += data.length;
    return { file, offset: pieceOffset + offset, data };
  }

  receipt(receipt: PieceReceipt): void {
    const piece = this.#piece(receipt.piece, "receipt");
    const { tensor, bytes, inputs } = piece.expected;
    const { kind } = this.#request.task;
    if (kind === "gather")
      throw this.#corrupt(`sent a receipt for ${quote(tensor)}, which it was not to write`, tensor);
    if (piece.receipt !== undefined) throw this.#corrupt(`sent the receipt for ${quote(tensor)} twice`, tensor);
    if (kind === "stream" && piece.received < bytes) throw this.#missing(piece, bytes);
    if (receipt.bytes !== BigInt(bytes)) {
      throw this.#corrupt(`says that its piece of ${quote(tensor)} has ${receipt.bytes} bytes, not ${bytes}`, tensor);
    }
    if (kind === "stream" && receipt.crc32 !== piece.crc32) {
      const both = `its chunks have CRC-32 ${hex(piece.crc32)}, its receipt ${hex(receipt.crc32)}`;
      throw this.#corrupt(`sent ${quote(tensor)} damaged: ${both}`, tensor);
    }
    if (receipt.inputsNonFinite.length !== inputs) {
      throw this.#corrupt(
        `counted ${receipt.inputsNonFinite.length} inputs of ${quote(tensor)}, not ${inputs}`,
        tensor,
      );
    }
    const { tensor: index, begin, end } = this.#request.unit.pieces[receipt.piece] ?? { tensor: -1, begin: 0, end: 0 };
    piece.receipt = {
      tensor: index,
      begin,
      end,
      bytes,
      crc32: receipt.crc32,
      nonFinite: this.#size(receipt.nonFinite, "count"),
      overflowed: this.#size(receipt.overflowed, "count"),
      largest: receipt.largest,
      inputsNonFinite: receipt.inputsNonFinite.map((count) => this.#size(count, "count")),
    };
  }

  partial(partial: GatheredPartial): void {
    if (this.#partials === undefined) throw this.#corrupt("sent statistics, which nobody asked for");
    this.#partials.add(partial);
  }

  /** The stream has ended well: is everything there? */
  finish(): { readonly receipts: readonly PieceResult[]; readonly partials: readonly PartialResult[] } {
    if (this.#partials !== undefined) return { receipts: [], partials: this.#partials.finish() };
    const receipts = this.#pieces.map((piece) => {
      const { receipt, received, expected } = piece;
      if (receipt !== undefined) return receipt;
      if (this.#request.task.kind === "stream" && received < expected.bytes) throw this.#missing(piece, expected.bytes);
      throw this.#corrupt(`ended without the receipt for ${quote(expected.tensor)}`, expected.tensor);
    });
    return { receipts, partials: [] };
  }

  #piece(index: number, what: string): PieceProgress {
    const piece = this.#pieces[index];
    if (piece === undefined) throw this.#corrupt(`sent a ${what} for piece ${index} of ${this.#pieces.length}`);
    return piece;
  }

  #size(value: bigint, what: string): number {
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.#corrupt(`sent a ${what} of ${value}`);
    return toSafeNumber(value);
  }

  #missing({ expected: { tensor }, received }: PieceProgress, end: number): AmalgamError {
    return this.#corrupt(`left out bytes [${formatCount(received)}, ${formatCount(end)}) of ${quote(tensor)}`, tensor);
  }

  readonly #corrupt = (problem: string, tensor?: string): AmalgamError => {
    const { unit, epoch } = this.#request;
    return new AmalgamError("chunk_corrupt", `Agent ${this.#agent} ${problem}`, {
      details: {
        unit: String(unit.id),
        epoch: String(epoch),
        agent: this.#agent,
        ...(tensor === undefined ? {} : { tensor }),
      },
    });
  };
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, "0");
}
