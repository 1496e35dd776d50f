import type { RowTerm } from "../../shared/checkpoint/row-segments.js";
import { tileSlack } from "../../shared/expression/tiles.js";
import { existing } from "./input.js";
import type { InputReader, ReadContext } from "./reader.js";

/** Combined rows that are kept for their next use. */
const keptBytes = 16 << 20;

/** Elements that are read at once while rows are added up, or one row. */
const bufferElements = 65_536;

/** Combined rows of one piece. Outlives its passes, since equal rows come again: padding, or a row that two tiles share. */
export class CombinedRows {
  readonly #rows = new Map<string, Float32Array>();
  #bytes = 0;

  get(key: string): Float32Array | undefined {
    const row = this.#rows.get(key);
    if (row === undefined) return undefined;
    // A map keeps the order of insertion, so the row that was used least lately is the first.
    this.#rows.delete(key);
    this.#rows.set(key, row);
    return row;
  }

  set(key: string, row: Float32Array): void {
    this.#rows.set(key, row);
    this.#bytes += row.byteLength;
    for (const [oldest, { byteLength }] of this.#rows) {
      if (this.#bytes <= keptBytes || oldest === key) return;
      this.#rows.delete(oldest);
      this.#bytes -= byteLength;
    }
  }
}

/**
 * Weighted sums of rows. Products and sums are f64, from the first term to the last and within each from its first row
 * to its last; the result is rounded to f32 once.
 */
export class Combiner {
  readonly #tensors: readonly InputReader[];
  readonly #columns: number;
  readonly #context: ReadContext;
  readonly #kept: CombinedRows;
  #buffer: number | undefined;

  constructor(tensors: readonly InputReader[], columns: number, context: ReadContext, kept: CombinedRows) {
    this.#tensors = tensors;
    this.#columns = columns;
    this.#context = context;
    this.#kept = kept;
  }

  /** `map` tells the piece's row maps apart. */
  combine(terms: readonly RowTerm[], map: number): Float32Array {
    const key = `${map} ${terms.map(({ tensor, row, rows, weight }) => `${tensor} ${row} ${rows} ${weight}`).join()}`;
    let result = this.#kept.get(key);
    if (result === undefined) {
      const sums = new Float64Array(this.#columns);
      for (const term of terms) this.#add(sums, term);
      result = Float32Array.from(sums);
      this.#kept.set(key, result);
    }
    return result;
  }

  #add(sums: Float64Array, { tensor, row, rows, weight }: RowTerm): void {
    const { memory } = this.#context;
    const columns = this.#columns;
    const atOnce = Math.max(1, Math.floor(bufferElements / columns));
    this.#buffer ??= memory.allocate(4 * (atOnce * columns + tileSlack), "rows that are combined");
    const reader = existing(this.#tensors, tensor, "tensor");
    for (let first = row; first < row + rows; first += atOnce) {
      const count = Math.min(atOnce, row + rows - first);
      reader.read(first * columns, (first + count) * columns, this.#buffer);
      const values = new Float32Array(memory.memory.buffer, this.#buffer, count * columns);
      for (let begin = 0; begin < values.length; begin += columns) addRow(sums, values, begin, weight);
    }
  }
}

function addRow(sums: Float64Array, values: Float32Array, begin: number, weight: number): void {
  for (let j = 0; j < sums.length; j += 1) sums[j] = (sums[j] ?? 0) + weight * (values[begin + j] ?? 0);
}
