import { encodeModule, FunctionBody } from "../compute/wasm/encoder.js";
import type { TileMemory } from "../compute/wasm/memory.js";

/** The micro-tile of a product: rows of A by columns of B. With eight accumulators V8 keeps everything in registers. */
export const tile = { rows: 4, columns: 8, inner: 4 } as const;

/** Sums of more products than this are taken apart and added: each part of B stays in the cache, and rounding grows slower. */
const innerBlock = 256;

const elementBytes = Float32Array.BYTES_PER_ELEMENT;

/** A row-major f32 matrix in a worker's memory. Its stride is its width. */
export interface Block {
  readonly address: number;
  readonly rows: number;
  readonly columns: number;
}

/** C += A B. Sizes are multiples of the micro-tile's: A m × k, B k × l, C m × l. */
export type AddProduct = (a: Block, b: Block, c: Block) => void;

/** Parameters of the compiled function: addresses, strides in bytes, and counts of micro-tiles and of inner steps. */
const at = { a: 0, aStride: 1, b: 2, bStride: 3, c: 4, rowTiles: 5, columnTiles: 6, innerSteps: 7 } as const;

/**
 * Compiles a product of f32 matrices to WebAssembly SIMD. It multiplies and adds, each rounded, in an order that only the
 * sizes decide: the same bits on every machine.
 */
export function compileProduct(memory: TileMemory): AddProduct {
  const module = new WebAssembly.Module(encodeModule(productBody(), Object.keys(at).length, memory.maximumPages));
  const { exports } = new WebAssembly.Instance(module, { env: { memory: memory.memory } });
  const run = exports["run"] as (...parameters: readonly number[]) => void;
  return (a, b, c) => {
    const [aStride, bStride] = [a.columns * elementBytes, b.columns * elementBytes];
    for (let inner = 0; inner < a.columns; inner += innerBlock) {
      const steps = Math.min(innerBlock, a.columns - inner) / tile.inner;
      const [aAt, bAt] = [a.address + inner * elementBytes, b.address + inner * bStride];
      run(aAt, aStride, bAt, bStride, c.address, a.rows / tile.rows, b.columns / tile.columns, steps);
    }
  };
}

function productBody(): FunctionBody {
  const body = new FunctionBody(Object.keys(at).length);
  const [rowTile, columnTile, step] = [body.local("i32"), body.local("i32"), body.local("i32")];
  const [bTile, cTile, b] = [body.local("i32"), body.local("i32"), body.local("i32")];
  const aRows = Array.from({ length: tile.rows }, () => body.local("i32"));
  const cRow = body.local("i32");
  const sums = Array.from({ length: tile.rows }, () => [body.local("v128"), body.local("v128")] as const);
  const [low, high, factor] = [body.local("v128"), body.local("v128"), body.local("v128")];
  const advance = (pointer: number, by: () => void): void => {
    body.get(pointer);
    by();
    body.op("i32.add").set(pointer);
  };
  /** Runs `inside` as often as `limit` says, at least once. */
  const repeat = (counter: number, limit: number, inside: () => void): void => {
    body.i32(0).set(counter);
    body.loop(() => {
      inside();
      body.get(counter).i32(1).op("i32.add").tee(counter).get(limit).op("i32.lt_u").branchIf(0);
    });
  };
  const pointAtRows = (): void => {
    let before = at.a as number;
    aRows.forEach((row, i) => {
      body.get(before);
      if (i > 0) body.get(at.aStride).op("i32.add");
      body.set(row);
      before = row;
    });
  };
  const innerStep = (inner: number): void => {
    body.get(b).load("v128.load", 0).set(low);
    body.get(b).load("v128.load", 16).set(high);
    advance(b, () => body.get(at.bStride));
    sums.forEach(([left, right], i) => {
      body
        .get(aRows[i] ?? 0)
        .load("v128.load32_splat", inner * elementBytes)
        .set(factor);
      body.get(left).get(low).get(factor).simd("f32x4.mul").simd("f32x4.add").set(left);
      body.get(right).get(high).get(factor).simd("f32x4.mul").simd("f32x4.add").set(right);
    });
  };
  const addTo = (sum: number, offset: number): void => {
    body.get(cRow).get(cRow).load("v128.load", offset).get(sum).simd("f32x4.add").store("v128.store", offset);
  };
  repeat(rowTile, at.rowTiles, () => {
    body.get(at.b).set(bTile).get(at.c).set(cTile);
    repeat(columnTile, at.columnTiles, () => {
      pointAtRows();
      body.get(bTile).set(b);
      for (const sum of sums.flat()) body.splat(0).set(sum);
      repeat(step, at.innerSteps, () => {
        for (let inner = 0; inner < tile.inner; inner += 1) innerStep(inner);
        for (const row of aRows) advance(row, () => body.i32(tile.inner * elementBytes));
      });
      body.get(cTile).set(cRow);
      sums.forEach(([left, right]) => {
        addTo(left, 0);
        addTo(right, 16);
        advance(cRow, () => body.get(at.bStride));
      });
      advance(bTile, () => body.i32(tile.columns * elementBytes));
      advance(cTile, () => body.i32(tile.columns * elementBytes));
    });
    for (let row = 0; row < tile.rows; row += 1) {
      advance(at.a, () => body.get(at.aStride));
      advance(at.c, () => body.get(at.bStride));
    }
  });
  return body;
}
