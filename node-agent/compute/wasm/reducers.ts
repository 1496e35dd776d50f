import type { Gather } from "../../../shared/expression/passes.js";
import { CountingReducer } from "./counting-reducer.js";
import type { Local } from "./encoder.js";
import { resultBytes } from "./layout.js";
import { type Loop, parameters, type Reducer, type Vector, vectorLanes, zeroBeyond } from "./loop.js";

/** `place` is the reduction's among those of its kernel. */
export function createReducer(loop: Loop, kind: Gather["kind"] | "columns", place: number): Reducer {
  if (kind === "sum") return new SumReducer(loop, place);
  if (kind === "largest") return new LargestReducer(loop, place);
  if (kind === "columns") return new ColumnReducer(loop, place);
  return new CountingReducer(loop, kind, place);
}

const minusInfinity = 0xff80_0000;
const upperHalf = [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15];

/** Four f64 lanes in two accumulators, so that each lane adds its elements in order. */
class SumReducer implements Reducer {
  readonly #loop: Loop;
  readonly #place: number;
  readonly #first: Local;
  readonly #second: Local;

  constructor(loop: Loop, place: number) {
    this.#loop = loop;
    this.#place = place;
    this.#first = loop.body.local("v128");
    this.#second = loop.body.local("v128");
  }

  prepare(): void {}

  add(lanes: Local, vector: Vector): void {
    const { body } = this.#loop;
    const counted = zeroBeyond(this.#loop, lanes, vector);
    body.get(this.#first).get(counted).simd("f64x2.promote_low_f32x4").simd("f64x2.add").set(this.#first);
    body.get(this.#second).get(counted).get(counted).shuffle(upperHalf);
    body.simd("f64x2.promote_low_f32x4").simd("f64x2.add").set(this.#second);
  }

  finish(): void {
    storeResult(this.#loop, this.#place, this.#first, this.#second);
  }
}

class LargestReducer implements Reducer {
  readonly #loop: Loop;
  readonly #place: number;
  readonly #largest: Local;

  constructor(loop: Loop, place: number) {
    this.#loop = loop;
    this.#place = place;
    this.#largest = loop.body.local("v128");
  }

  prepare(): void {
    this.#loop.body.splat(minusInfinity).set(this.#largest);
  }

  add(lanes: Local, { exists }: Vector): void {
    const { body } = this.#loop;
    body.get(this.#largest).get(lanes);
    if (exists !== undefined) body.splat(minusInfinity).get(exists).simd("v128.bitselect");
    body.simd("f32x4.max").set(this.#largest);
  }

  finish(): void {
    storeResult(this.#loop, this.#place, this.#largest);
  }
}

/** Adds the block's elements to f64 accumulators in memory, one for each place in a block. */
class ColumnReducer implements Reducer {
  readonly #loop: Loop;
  readonly #place: number;
  readonly #accumulators: Local;

  constructor(loop: Loop, place: number) {
    this.#loop = loop;
    this.#place = place;
    this.#accumulators = loop.body.local("i32");
  }

  prepare(): void {
    const { body, layout } = this.#loop;
    body
      .get(parameters.control)
      .load("i32.load", layout.histograms + 4 * this.#place)
      .set(this.#accumulators);
  }

  /** Lanes that do not exist add zero, perhaps to accumulators behind the block's, which nobody reads. */
  add(lanes: Local, vector: Vector): void {
    const { body, index } = this.#loop;
    const counted = zeroBeyond(this.#loop, lanes, vector);
    const address = body.local("i32");
    const first = 8 * vectorLanes * vector.number;
    body.get(index).i32(3).op("i32.shl").get(this.#accumulators).op("i32.add").set(address);
    body.get(address).get(address).load("v128.load", first);
    body.get(counted).simd("f64x2.promote_low_f32x4").simd("f64x2.add").store("v128.store", first);
    body
      .get(address)
      .get(address)
      .load("v128.load", first + 16);
    body.get(counted).get(counted).shuffle(upperHalf);
    body
      .simd("f64x2.promote_low_f32x4")
      .simd("f64x2.add")
      .store("v128.store", first + 16);
  }

  finish(): void {}
}

/** Stores one or two accumulators as they are; the caller combines their lanes. */
export function storeResult({ body, layout }: Loop, place: number, first: Local, second?: Local): void {
  const offset = layout.results + resultBytes * place;
  body.get(parameters.control).get(first).store("v128.store", offset);
  if (second !== undefined)
    body
      .get(parameters.control)
      .get(second)
      .store("v128.store", offset + resultBytes / 2);
}
