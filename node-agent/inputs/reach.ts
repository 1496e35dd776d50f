import { toSafeNumber } from "../../shared/bytes.js";
import { type Dtype, dtypeBits } from "../../shared/checkpoint/dtypes.js";
import type { Piece, TensorSource } from "../../shared/gen/amalgam/v1/agent_pb.js";
import { type Extent, Extents } from "../files/extents.js";

/** What pieces read of inputs that are taken as they are stored. What else they read depends on more than the request. */
export function extentsOf(pieces: readonly Piece[]): Extents {
  return new Extents(
    pieces.flatMap(({ inputs, begin, end }) =>
      inputs.flatMap(({ file, offset, dtype, rows }): Extent[] => {
        if (rows !== undefined) return [];
        const bytesPerElement = dtypeBits(dtype as Dtype) / 8;
        const start = toSafeNumber(offset);
        return [{ file, begin: start + Number(begin) * bytesPerElement, end: start + Number(end) * bytesPerElement }];
      }),
    ),
  );
}

/** The most tensors that one of the pieces reads in turn. At least 1. */
export function streamsOf(pieces: readonly Piece[]): number {
  return pieces.reduce((most, { inputs }) => Math.max(most, sum(inputs.map(tensorsIn))), 1);
}

function tensorsIn({ updates, rows }: TensorSource): number {
  return 1 + 2 * updates.length + sum((rows?.tensors ?? []).map(tensorsIn));
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
