import type { RowSegment } from "../../shared/checkpoint/row-segments.js";
import { type CombinedRows, Combiner } from "./combinations.js";
import { existing, type RowMap } from "./input.js";
import type { InputReader, ReadContext } from "./reader.js";

/** Reads a matrix whose rows come from others, as F32. */
export class RowMapReader implements InputReader {
  readonly #map: RowMap;
  readonly #columns: number;
  readonly #place: number;
  readonly #context: ReadContext;
  readonly #tensors: readonly InputReader[];
  readonly #combiner: Combiner;
  /** The first row of every segment. */
  readonly #firstRows: Float64Array;

  /** `tensors` read those of the map; `place` is the input's in the piece, which `kept` belongs to. */
  constructor(
    map: RowMap,
    columns: number,
    tensors: readonly InputReader[],
    context: ReadContext,
    { place, kept }: { place: number; kept: CombinedRows },
  ) {
    this.#map = map;
    this.#columns = columns;
    this.#place = place;
    this.#context = context;
    this.#tensors = tensors;
    this.#combiner = new Combiner(tensors, columns, context, kept);
    let row = map.firstRow;
    this.#firstRows = Float64Array.from(map.segments, ({ count }) => {
      row += count;
      return row - count;
    });
  }

  read(begin: number, end: number, into: number): void {
    const columns = this.#columns;
    let place = begin < end ? this.#segmentAt(Math.floor(begin / columns)) : 0;
    for (let at = begin; at < end; place += 1) {
      const segment = existing(this.#map.segments, place, "segment");
      const firstRow = this.#firstRows[place] ?? 0;
      const stop = Math.min(end, (firstRow + segment.count) * columns);
      // Elements of the segment itself.
      this.#readSegment(segment, at - firstRow * columns, stop - firstRow * columns, into + 4 * (at - begin));
      at = stop;
    }
  }

  #readSegment(segment: RowSegment, begin: number, end: number, into: number): void {
    const columns = this.#columns;
    const { memory } = this.#context;
    switch (segment.kind) {
      case "run": {
        const first = segment.row * columns;
        existing(this.#tensors, segment.tensor, "tensor").read(first + begin, first + end, into);
        return;
      }
      case "zero":
        memory.bytes(into, 4 * (end - begin)).fill(0);
        return;
      case "combination": {
        // Before the memory is looked at: combining may make it grow.
        const row = this.#combiner.combine(segment.terms, this.#place);
        const elements = new Float32Array(memory.memory.buffer, into, end - begin);
        for (let at = begin; at < end; ) {
          const column = at % columns;
          const count = Math.min(columns - column, end - at);
          elements.set(row.subarray(column, column + count), at - begin);
          at += count;
        }
      }
    }
  }

  /** The segment that holds this row: the last one that does not begin after it. */
  #segmentAt(row: number): number {
    let low = 0;
    let high = this.#firstRows.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((this.#firstRows[middle] ?? 0) <= row) low = middle;
      else high = middle;
    }
    return low;
  }
}
