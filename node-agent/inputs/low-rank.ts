import { tileSlack } from "../../shared/expression/tiles.js";
import { wasmFunction } from "../compute/wasm/wasm-function.js";
import type { LowRankUpdate } from "./input.js";
import { encodeLowRank, lowRankArguments, panelColumns } from "./low-rank-code.js";
import type { InputReader, ReadContext } from "./reader.js";
import { WidenedReader } from "./widened.js";

/** Elements of a factor that are held while they are put in order. */
const bufferElements = 65_536;

/** A matrix of rows × columns with low-rank updates on top, as F32. */
export class LowRankReader implements InputReader {
  readonly #base: InputReader;
  readonly #updates: readonly UpdateAdder[];

  constructor(
    base: InputReader,
    updates: readonly LowRankUpdate[],
    shape: { readonly rows: number; readonly columns: number },
    context: ReadContext,
  ) {
    this.#base = base;
    this.#updates = updates.map((update) => new UpdateAdder(update, shape, context));
  }

  read(begin: number, end: number, into: number): void {
    this.#base.read(begin, end, into);
    for (const update of this.#updates) update.add(begin, end, into);
  }
}

/**
 * Adds scale · (coefficients · factor) to elements that are there already. `factor` is rank × columns, A or Bᵀ, and held
 * in memory from the first use on; `coefficients` is rows × rank, B or Aᵀ, and read as rows come up.
 */
class UpdateAdder {
  readonly #update: LowRankUpdate;
  readonly #rows: number;
  readonly #columns: number;
  readonly #context: ReadContext;
  readonly #a: WidenedReader;
  readonly #b: WidenedReader;
  /** Rows whose coefficients are held at once. */
  readonly #window: number;
  /** Elements from one row of the factor to the next. */
  readonly #stride: number;
  readonly #scaleBits: number;
  #regions: { readonly factor: number; readonly coefficients: number; readonly buffer: number } | undefined;

  constructor(update: LowRankUpdate, shape: { rows: number; columns: number }, context: ReadContext) {
    this.#update = update;
    this.#rows = shape.rows;
    this.#columns = shape.columns;
    this.#context = context;
    this.#a = new WidenedReader(update.a, context);
    this.#b = new WidenedReader(update.b, context);
    this.#window = Math.max(1, Math.floor(bufferElements / update.rank));
    this.#stride = Math.ceil(shape.columns / panelColumns) * panelColumns;
    this.#scaleBits = new Int32Array(Float32Array.of(update.scale).buffer)[0] ?? 0;
  }

  add(begin: number, end: number, into: number): void {
    const columns = this.#columns;
    const { factor, coefficients } = this.#hold();
    const run = wasmFunction(this.#context.memory, "low rank", encodeLowRank);
    const { rank } = this.#update;
    for (let at = begin; at < end; ) {
      const row = Math.floor(at / columns);
      const column = at - row * columns;
      const wholeRows = column === 0 ? Math.floor((end - at) / columns) : 0;
      const rows = Math.min(Math.max(1, wholeRows), this.#window);
      const width = wholeRows > 0 ? columns : Math.min(columns - column, end - at);
      this.#readCoefficients(row, rows);
      run(
        ...lowRankArguments({
          into: into + 4 * (at - begin),
          intoStride: 4 * columns,
          rows,
          columns: width,
          coefficients,
          coefficientStride: 4 * rank,
          factor: factor + 4 * column,
          factorStride: 4 * this.#stride,
          rank,
          scaleBits: this.#scaleBits,
        }),
      );
      at += rows * width;
    }
  }

  /** Reads the factor when it is first needed: a row map may not use every tensor that it could. */
  #hold() {
    if (this.#regions !== undefined) return this.#regions;
    const { memory } = this.#context;
    const { rank, transposed } = this.#update;
    const what = `a low-rank factor of ${rank} x ${this.#columns}`;
    const factor = memory.allocate(4 * (rank * this.#stride + panelColumns), what);
    const coefficients = memory.allocate(4 * (this.#window * rank + tileSlack), what);
    const buffer = transposed ? memory.allocate(4 * (bufferElements + tileSlack), what) : 0;
    this.#regions = { factor, coefficients, buffer };
    if (!transposed) {
      for (let r = 0; r < rank; r += 1) {
        this.#a.read(r * this.#columns, (r + 1) * this.#columns, factor + 4 * r * this.#stride);
      }
      return this.#regions;
    }
    for (let first = 0; first < this.#columns; first += this.#window) {
      const count = Math.min(this.#window, this.#columns - first);
      this.#b.read(first * rank, (first + count) * rank, buffer);
      const from = this.#floats(buffer, count * rank);
      const to = this.#floats(factor, rank * this.#stride);
      for (let j = 0; j < count; j += 1) {
        for (let r = 0; r < rank; r += 1) to[r * this.#stride + first + j] = from[j * rank + r] ?? 0;
      }
    }
    return this.#regions;
  }

  /** Holds the coefficients of the rows [row, row + rows), a row after the other. */
  #readCoefficients(row: number, rows: number): void {
    const { coefficients, buffer } = this.#hold();
    const { rank, transposed } = this.#update;
    if (!transposed) {
      this.#b.read(row * rank, (row + rows) * rank, coefficients);
      return;
    }
    const to = this.#floats(coefficients, rows * rank);
    for (let r = 0; r < rank; r += 1) {
      this.#a.read(r * this.#rows + row, r * this.#rows + row + rows, buffer);
      const from = this.#floats(buffer, rows);
      for (let i = 0; i < rows; i += 1) to[i * rank + r] = from[i] ?? 0;
    }
  }

  #floats(address: number, count: number): Float32Array {
    return new Float32Array(this.#context.memory.memory.buffer, address, count);
  }
}
