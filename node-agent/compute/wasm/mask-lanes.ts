import type { FunctionBody, Local } from "./encoder.js";
import { type Vector, vectorLanes } from "./loop.js";

/** Elements whose bits are written, or read, at once. */
export const maskedElements = 16;

const vectorsAtOnce = maskedElements / vectorLanes;

/** Writes a mask down as bits, the first element's lowest. */
export class MaskWriter {
  readonly #body: FunctionBody;
  readonly #pointer: Local;
  #vectors: Local[] = [];

  constructor(body: FunctionBody, pointer: Local) {
    this.#body = body;
    this.#pointer = pointer;
  }

  /** To be given the vectors of an iteration in order. Bits of lanes that do not exist are anything. */
  add(mask: Local, { number }: Vector): void {
    this.#vectors.push(mask);
    const [a, b, c, d] = this.#vectors;
    if (a === undefined || b === undefined || c === undefined || d === undefined) return;
    const offset = Math.floor(number / vectorsAtOnce) * (maskedElements / 8);
    this.#body.get(this.#pointer);
    this.#body.get(a).get(b).simd("i16x8.narrow_i32x4_s").get(c).get(d).simd("i16x8.narrow_i32x4_s");
    this.#body.simd("i8x16.narrow_i16x8_s").simd("i8x16.bitmask").store("i32.store16", offset);
    this.#vectors = [];
  }
}

/** Reads a mask that was written down. */
export class MaskReader {
  readonly #body: FunctionBody;
  readonly #pointer: Local;
  /** The bits of the elements at hand, in all lanes. */
  readonly #bits: Local;

  constructor(body: FunctionBody, pointer: Local) {
    this.#body = body;
    this.#pointer = pointer;
    this.#bits = body.local("v128");
  }

  /** Pushes four lanes: all ones where the mask holds. To be asked for the vectors of an iteration in order. */
  push(vector: number): void {
    const first = (vector % vectorsAtOnce) * vectorLanes;
    const bit = (lane: number): number => 1 << (first + lane);
    if (first === 0) {
      const offset = Math.floor(vector / vectorsAtOnce) * (maskedElements / 8);
      this.#body.get(this.#pointer).load("i32.load16_u", offset).simd("i32x4.splat").set(this.#bits);
    }
    this.#body
      .get(this.#bits)
      .v128([bit(0), bit(1), bit(2), bit(3)])
      .simd("v128.and");
    this.#body.v128([bit(0), bit(1), bit(2), bit(3)]).simd("i32x4.eq");
  }
}
