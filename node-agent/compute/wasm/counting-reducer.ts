import { binsOf, type Count, isUpperCount } from "../../../shared/expression/order-statistics.js";
import type { Local } from "./encoder.js";
import { spareBins } from "./layout.js";
import { type Loop, parameters, pushSplat, type Reducer, type Vector, vectorLanes } from "./loop.js";

/** One of the two counting passes of an order statistic; counts are u32 in memory. */
export class CountingReducer implements Reducer {
  readonly #loop: Loop;
  readonly #kind: Count;
  readonly #place: number;
  /** Where the bins begin, in all lanes. */
  readonly #histogram: Local;
  /** For lower bits: the searched bin, as the upper half of a key. */
  readonly #searched: Local;

  constructor(loop: Loop, kind: Count, place: number) {
    this.#loop = loop;
    this.#kind = kind;
    this.#place = place;
    this.#histogram = loop.body.local("v128");
    this.#searched = loop.body.local("v128");
  }

  prepare(): void {
    const { body, layout } = this.#loop;
    pushSplat(this.#loop, layout.histograms + 4 * this.#place);
    body.set(this.#histogram);
    pushSplat(this.#loop, layout.bins + 4 * this.#place);
    body.set(this.#searched);
  }

  add(lanes: Local, vector: Vector): void {
    const { body } = this.#loop;
    const addresses = body.local("v128");
    const key = this.#key(lanes);
    if (isUpperCount(this.#kind)) this.#pushUpperOffsets(key);
    else this.#pushLowerOffsets(key);
    body.get(this.#histogram).simd("i32x4.add").set(addresses);
    for (let lane = 0; lane < vectorLanes; lane += 1) {
      this.#ifLaneExists(vector, lane, () => this.#increment(addresses, lane));
    }
  }

  finish(): void {}

  #countsMagnitudes(): boolean {
    return this.#kind === "upperBits" || this.#kind === "lowerBits";
  }

  /**
   * The keys to count. A magnitude's are the lanes' own bits, whose sign is masked away later; see orderedBits() for
   * the others: a negative number's bits are inverted, a positive one's sign is set, NaN is canonical.
   */
  #key(lanes: Local): Local {
    if (this.#countsMagnitudes()) return lanes;
    const { body } = this.#loop;
    const [bits, key] = [body.local("v128"), body.local("v128")];
    body.get(lanes).splat(0x7fc0_0000).get(lanes).get(lanes).simd("f32x4.eq").simd("v128.bitselect").set(bits);
    body.get(bits).get(bits).i32(31).simd("i32x4.shr_s").splat(0x8000_0000).simd("v128.or").simd("v128.xor").set(key);
    return key;
  }

  /** (key >> 16) · 4 bytes per bin, with a magnitude's sign cut off. */
  #pushUpperOffsets(key: Local): void {
    const mask = 4 * (binsOf(this.#kind) - 1);
    this.#loop.body.get(key).i32(14).simd("i32x4.shr_u").splat(mask).simd("v128.and");
  }

  /**
   * Lanes that lie elsewhere are counted in spare bins behind the others, which nobody reads: a branch would be
   * mispredicted too often, since many task vectors have few distinct magnitudes, and a single spare bin would make each
   * count wait for the one before.
   */
  #pushLowerOffsets(key: Local): void {
    const { body } = this.#loop;
    const spareMask = 4 * (spareBins - 1);
    const upperMask = this.#countsMagnitudes() ? 0x7fff_0000 : 0xffff_0000;
    body.get(key).splat(0xffff).simd("v128.and").i32(2).simd("i32x4.shl");
    body.get(key).i32(14).simd("i32x4.shr_u").splat(spareMask).simd("v128.and");
    body.splat(4 * binsOf(this.#kind)).simd("v128.or");
    body.get(key).splat(upperMask).simd("v128.and").get(this.#searched).simd("i32x4.eq");
    body.simd("v128.bitselect");
  }

  /** Adds one to the bin whose address is in a lane. */
  #increment(addresses: Local, lane: number): void {
    const { body } = this.#loop;
    const address = body.local("i32");
    body.get(addresses).extractLane(lane).tee(address);
    body.get(address).load("i32.load", 0).i32(1).op("i32.add").store("i32.store", 0);
  }

  #ifLaneExists({ number, exists }: Vector, lane: number, then: () => void): void {
    const { body, index } = this.#loop;
    const element = number * vectorLanes + lane;
    if (exists === undefined) then();
    else body.get(index).i32(element).op("i32.add").get(parameters.count).op("i32.lt_u").if(then);
  }
}
