import { type Matrix, zeros } from "../../shared/linalg/matrix.js";
import type { TileMemory } from "../compute/wasm/memory.js";
import type { MatrixRows } from "./matrix-rows.js";
import { type AddProduct, type Block, compileProduct, tile } from "./product.js";

/** A tile of the matrix takes about this much: enough rows that a pass over the thin side pays. */
const tileBytes = 2 << 20;
const maxTileRows = 512;
const elementBytes = Float32Array.BYTES_PER_ELEMENT;

/**
 * Products of a large matrix M (m × n) with a few vectors, M read tile by tile. Vectors are the rows of a Matrix; products
 * are f32, sums of at most some hundred terms are taken together.
 */
export class ThinProducts {
  readonly #matrix: MatrixRows;
  readonly #memory: TileMemory;
  readonly #addProduct: AddProduct;
  readonly #onTile: (rows: number) => void;

  /** `onTile` hears of every tile that was read. */
  constructor(matrix: MatrixRows, memory: TileMemory, onTile: (rows: number) => void) {
    this.#matrix = matrix;
    this.#memory = memory;
    this.#addProduct = compileProduct(memory);
    this.#onTile = onTile;
  }

  /** M x for every row x of `vectors` (k × n): k × m. */
  times(vectors: Matrix): Matrix {
    const { rows, columns } = this.#matrix;
    const width = roundUp(vectors.rows, tile.columns);
    const tiles = this.#allocate(width);
    const thin = this.#block(roundUp(columns, tile.inner), width, "vectors");
    const product = this.#block(tiles.rows, width, "products");
    this.#load(vectors, thin);
    const result = zeros(vectors.rows, rows);
    this.#eachTile(tiles, (first, count) => {
      const values = this.#view(product).fill(0);
      this.#addProduct(tiles, thin, product);
      for (let vector = 0; vector < vectors.rows; vector += 1) {
        const target = vector * rows + first;
        for (let row = 0; row < count; row += 1) result.data[target + row] = values[row * width + vector] ?? 0;
      }
    });
    return result;
  }

  /** Mᵀ x for every row x of `vectors` (k × m): k × n. */
  transposedTimes(vectors: Matrix): Matrix {
    const { rows, columns } = this.#matrix;
    const width = roundUp(vectors.rows, tile.columns);
    const tiles = this.#allocate(width);
    const turned = this.#block(roundUp(columns, tile.rows), tiles.rows, "a turned tile");
    const thin = this.#block(tiles.rows, width, "vectors");
    const sums = this.#block(turned.rows, width, "products");
    this.#view(sums).fill(0);
    this.#eachTile(tiles, (first, count) => {
      this.#turn(tiles, turned);
      const values = this.#view(thin).fill(0);
      for (let vector = 0; vector < vectors.rows; vector += 1) {
        const source = vector * rows + first;
        for (let row = 0; row < count; row += 1) values[row * width + vector] = vectors.data[source + row] ?? 0;
      }
      this.#addProduct(turned, thin, sums);
    });
    const result = zeros(vectors.rows, columns);
    const values = this.#view(sums);
    for (let column = 0; column < columns; column += 1) {
      for (let vector = 0; vector < vectors.rows; vector += 1) {
        result.data[vector * columns + column] = values[column * width + vector] ?? 0;
      }
    }
    return result;
  }

  /** Starts the memory anew; what is left of it after the tile is the products'. */
  #allocate(width: number): Block {
    const columns = roundUp(this.#matrix.columns, tile.inner);
    const fitting = Math.floor(tileBytes / (elementBytes * (columns + width)));
    const rows = Math.min(maxTileRows, roundUp(this.#matrix.rows, tile.rows), Math.max(tile.rows, fitting));
    this.#memory.reset();
    return this.#block(rows - (rows % tile.rows), columns, "a tile");
  }

  #block(rows: number, columns: number, what: string): Block {
    return { address: this.#memory.allocate(rows * columns * elementBytes, what), rows, columns };
  }

  /** Rows beyond the matrix and columns beyond its width are zero. */
  #eachTile(tiles: Block, use: (first: number, count: number) => void): void {
    const { rows } = this.#matrix;
    for (let first = 0; first < rows; first += tiles.rows) {
      const count = Math.min(tiles.rows, rows - first);
      const values = this.#view(tiles).fill(0);
      this.#matrix.read(first, count, values, tiles.columns);
      use(first, count);
      this.#onTile(count);
    }
  }

  #load(vectors: Matrix, into: Block): void {
    const values = this.#view(into).fill(0);
    for (let vector = 0; vector < vectors.rows; vector += 1) {
      const source = vector * vectors.columns;
      for (let i = 0; i < vectors.columns; i += 1) values[i * into.columns + vector] = vectors.data[source + i] ?? 0;
    }
  }

  #turn(from: Block, to: Block): void {
    const [source, target] = [this.#view(from), this.#view(to)];
    for (let row = 0; row < from.rows; row += 1) {
      for (let column = 0; column < from.columns; column += 1) {
        target[column * to.columns + row] = source[row * from.columns + column] ?? 0;
      }
    }
  }

  #view({ address, rows, columns }: Block): Float32Array {
    return new Float32Array(this.#memory.memory.buffer, address, rows * columns);
  }
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
