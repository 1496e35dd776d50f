import type { Gather } from "../../../shared/expression/passes.js";
import { lowerBins } from "../../../shared/expression/statistics.js";
import type { Local } from "./encoder.js";
import { resultBytes, spareBins } from "./layout.js";
import { type Loop, parameters, pushSplat, type Vector, vectorLanes, zeroBeyond } from "./loop.js";

/** Takes in one expression's lanes, vector by vector, and leaves its result in the control block or in memory. */
export interface Reducer {
  /** Emitted before the loop. */
  prepare(): void;
  /** Emitted for every vector. */
  add(lanes: Local, vector: Vector): void;
  /** Emitted after the loop. */
  finish(): void;
}

/** `place` is the reduction's among those of its kernel. */
export function createReducer(loop: Loop, kind: Gather["kind"], place: number): Reducer {
  if (kind === "sum") return new SumReducer(loop, place);
  if (kind === "largest") return new LargestReducer(loop, place);
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

/** One of the two counting passes of a k-th magnitude; counts are u32 in memory. */
class CountingReducer implements Reducer {
  readonly #loop: Loop;
  readonly #kind: "upperBits" | "lowerBits";
  readonly #place: number;
  readonly #histogram: Local;
  /** For lower bits: the searched bin, as the upper half of a float's bits. */
  readonly #searched: Local;

  constructor(loop: Loop, kind: "upperBits" | "lowerBits", place: number) {
    this.#loop = loop;
    this.#kind = kind;
    this.#place = place;
    this.#histogram = loop.body.local("i32");
    this.#searched = loop.body.local("v128");
  }

  prepare(): void {
    const { body, layout } = this.#loop;
    body
      .get(parameters.control)
      .load("i32.load", layout.histograms + 4 * this.#place)
      .set(this.#histogram);
    pushSplat(this.#loop, layout.bins + 4 * this.#place);
    body.set(this.#searched);
  }

  add(lanes: Local, vector: Vector): void {
    const { body } = this.#loop;
    const offsets = body.local("v128");
    if (this.#kind === "upperBits") this.#pushUpperOffsets(lanes);
    else this.#pushLowerOffsets(lanes);
    body.set(offsets);
    for (let lane = 0; lane < vectorLanes; lane += 1) {
      this.#ifLaneExists(vector, lane, () => this.#increment(offsets, lane));
    }
  }

  finish(): void {}

  /** (bits >> 16) · 4 bytes per bin, with the sign cut off. */
  #pushUpperOffsets(lanes: Local): void {
    this.#loop.body.get(lanes).i32(14).simd("i32x4.shr_u").splat(0x1_fffc).simd("v128.and");
  }

  /**
   * Lanes that lie elsewhere are counted in spare bins behind the others, which nobody reads: a branch would be
   * mispredicted too often, since many task vectors have few distinct magnitudes, and a single spare bin would make each
   * count wait for the one before.
   */
  #pushLowerOffsets(lanes: Local): void {
    const { body } = this.#loop;
    const spareMask = 4 * (spareBins - 1);
    body.get(lanes).splat(0xffff).simd("v128.and").i32(2).simd("i32x4.shl");
    body.get(lanes).i32(14).simd("i32x4.shr_u").splat(spareMask).simd("v128.and");
    body.splat(4 * lowerBins).simd("v128.or");
    body.get(lanes).splat(0x7fff_0000).simd("v128.and").get(this.#searched).simd("i32x4.eq");
    body.simd("v128.bitselect");
  }

  /** Adds one to the bin whose byte offset is in a lane. */
  #increment(offsets: Local, lane: number): void {
    const { body } = this.#loop;
    const address = body.local("i32");
    body.get(this.#histogram).get(offsets).extractLane(lane).op("i32.add").tee(address);
    body.get(address).load("i32.load", 0).i32(1).op("i32.add").store("i32.store", 0);
  }

  #ifLaneExists({ number, exists }: Vector, lane: number, then: () => void): void {
    const { body, index } = this.#loop;
    const element = number * vectorLanes + lane;
    if (exists === undefined) then();
    else body.get(index).i32(element).op("i32.add").get(parameters.count).op("i32.lt_u").if(then);
  }
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
