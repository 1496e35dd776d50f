import { toSafeNumber } from "../../shared/bytes.js";
import { isDtype } from "../../shared/checkpoint/dtypes.js";
import type { RowSegment } from "../../shared/checkpoint/row-segments.js";
import { AmalgamError } from "../../shared/errors.js";
import type {
  RowMap as RowMapMessage,
  RowSegment as SegmentMessage,
  TensorSource,
} from "../../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../../shared/quote.js";
import { existing, type PieceInput, type RowMap, type StoredInput } from "./input.js";

/** An input as the wire has it, which `assertInput()` has found in order. */
export function inputFromProto(source: TensorSource): PieceInput {
  const stored = storedFromProto(source);
  return source.rows === undefined ? stored : { ...stored, rows: rowsFromProto(source.rows) };
}

function storedFromProto({ file, offset, dtype, updates }: TensorSource): StoredInput {
  if (!isDtype(dtype)) throw new AmalgamError("usage", `Unknown dtype ${quote(dtype)}`);
  const place = { file, offset: toSafeNumber(offset), dtype };
  if (updates.length === 0) return place;
  return {
    ...place,
    updates: updates.map(({ a, b, rank, scale, transposed }) => {
      if (a === undefined || b === undefined) throw new AmalgamError("usage", "A low-rank update lacks a factor");
      return { a: storedFromProto(a), b: storedFromProto(b), rank, scale, transposed };
    }),
  };
}

function rowsFromProto({ tensors, tensorRows, firstRow, segments }: RowMapMessage): RowMap {
  return {
    tensors: tensors.map((tensor, i) => ({
      ...storedFromProto(tensor),
      rows: toSafeNumber(existing(tensorRows, i, "row count")),
    })),
    firstRow: toSafeNumber(firstRow),
    segments: segments.map(segmentFromProto),
  };
}

function segmentFromProto({ count: wireCount, run, terms }: SegmentMessage): RowSegment {
  const count = toSafeNumber(wireCount);
  if (run !== undefined) return { kind: "run", count, tensor: run.tensor, row: toSafeNumber(run.row) };
  if (terms.length === 0) return { kind: "zero", count };
  return {
    kind: "combination",
    count,
    terms: terms.map(({ tensor, row, rows, weight }) => {
      return { tensor, row: toSafeNumber(row), rows: toSafeNumber(rows), weight };
    }),
  };
}
