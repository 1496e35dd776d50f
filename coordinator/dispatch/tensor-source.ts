import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RowSegment } from "../../shared/checkpoint/row-segments.js";
import type {
  LowRankUpdateSchema,
  RowMapSchema,
  RowSegmentSchema,
  TensorSourceSchema,
} from "../../shared/gen/amalgam/v1/agent_pb.js";
import { Numbering } from "../plan/numbering.js";
import type { LowRankUpdate, PlannedInput, RowMap, StoredTensor } from "../plan/types.js";

type SourceMessage = MessageInitShape<typeof TensorSourceSchema>;

/** The elements [begin, end) of a tensor with rows of `row` elements. */
interface Span {
  readonly begin: number;
  readonly end: number;
  readonly row: number;
}

/** A planned input as an agent is told about it: with the rows and the files that a piece needs, and no others. */
export function tensorSource(input: PlannedInput, span: Span, files: Numbering<number>): SourceMessage {
  const { rows } = input;
  return rows === undefined ? storedSource(input, files) : { dtype: "F32", rows: clippedRows(rows, span, files) };
}

function storedSource({ source, offset, dtype, updates = [] }: StoredTensor, files: Numbering<number>): SourceMessage {
  return {
    file: files.of(source),
    offset: BigInt(offset),
    dtype,
    updates: updates.map((update) => updateMessage(update, files)),
  };
}

function updateMessage(
  { a, b, rank, scale, transposed }: LowRankUpdate,
  files: Numbering<number>,
): MessageInitShape<typeof LowRankUpdateSchema> {
  return { a: storedSource(a, files), b: storedSource(b, files), rank, scale, transposed };
}

function clippedRows(
  map: RowMap,
  { begin, end, row }: Span,
  files: Numbering<number>,
): MessageInitShape<typeof RowMapSchema> {
  const first = Math.floor(begin / row);
  const last = Math.ceil(end / row);
  const tensors = new Numbering<number>();
  const ends = segmentEnds(map);
  const segments: MessageInitShape<typeof RowSegmentSchema>[] = [];
  for (let place = firstAbove(ends, first); place < ends.length; place += 1) {
    const segment = map.segments[place];
    const segmentEnd = ends[place] ?? 0;
    if (segment === undefined || segmentEnd - segment.count >= last) break;
    const skipped = Math.max(0, first - (segmentEnd - segment.count));
    const count = segment.count - skipped - Math.max(0, segmentEnd - last);
    if (count > 0) segments.push(segmentMessage(segment, skipped, count, tensors));
  }
  const used = tensors.list.flatMap((tensor) => map.tensors[tensor] ?? []);
  return {
    tensors: used.map((tensor) => storedSource(tensor, files)),
    tensorRows: used.map(({ rows }) => BigInt(rows)),
    firstRow: BigInt(first),
    segments,
  };
}

/** `count` rows of a segment, without the first `skipped`. */
function segmentMessage(
  segment: RowSegment,
  skipped: number,
  count: number,
  tensors: Numbering<number>,
): MessageInitShape<typeof RowSegmentSchema> {
  switch (segment.kind) {
    case "run": {
      const run = { tensor: tensors.of(segment.tensor), row: BigInt(segment.row + skipped) };
      return { count: BigInt(count), run };
    }
    case "combination": {
      const terms = segment.terms.map(({ tensor, row, rows, weight }) => {
        return { tensor: tensors.of(tensor), row: BigInt(row), rows: BigInt(rows), weight };
      });
      return { count: BigInt(count), terms };
    }
    case "zero":
      return { count: BigInt(count) };
  }
}

const knownEnds = new WeakMap<RowMap, Float64Array>();

/** The row after each segment's last one; computed once per map, which is cut into many pieces. */
function segmentEnds(map: RowMap): Float64Array {
  let ends = knownEnds.get(map);
  if (ends === undefined) {
    let row = 0;
    ends = Float64Array.from(map.segments, ({ count }) => {
      row += count;
      return row;
    });
    knownEnds.set(map, ends);
  }
  return ends;
}

/** The first place of an ascending list whose value is above `bound`. */
function firstAbove(values: Float64Array, bound: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] ?? 0) > bound) high = middle;
    else low = middle + 1;
  }
  return low;
}
