import type { FunctionBody, Local } from "./encoder.js";
import { type Loop, type Vector, vectorLanes } from "./loop.js";

/** Elements whose bits are written at once: an iteration of a kernel that draws random numbers. */
export const maskedElements = 16;

/** Writes masks down as bits, the first element's lowest, while a kernel has them in registers. */
export class MaskWriter {
  readonly #loop: Loop;
  readonly #pointer: Local;
  readonly #bits: Local;

  constructor(loop: Loop, pointer: Local) {
    this.#loop = loop;
    this.#pointer = pointer;
    this.#bits = loop.body.local("i32");
  }

  /** To be given the vectors of an iteration in order. Bits of lanes that do not exist are anything. */
  add(mask: Local, { number }: Vector): void {
    const { body } = this.#loop;
    body.get(mask).simd("i32x4.bitmask");
    if (number > 0) {
      body
        .i32(number * vectorLanes)
        .op("i32.shl")
        .get(this.#bits)
        .op("i32.or");
    }
    body.set(this.#bits);
    if ((number + 1) * vectorLanes === maskedElements) {
      body.get(this.#pointer).get(this.#bits).store("i32.store16", 0);
    }
  }
}

/** Pushes four lanes of a mask that was written down: all ones where it holds. */
export function pushWrittenMask(body: FunctionBody, pointer: Local, vector: number): void {
  const perByte = 8 / vectorLanes;
  const first = (vector % perByte) * vectorLanes;
  const bit = (lane: number): number => 1 << (first + lane);
  body
    .get(pointer)
    .load("i32.load8_u", Math.floor(vector / perByte))
    .simd("i32x4.splat");
  body.v128([bit(0), bit(1), bit(2), bit(3)]).simd("v128.and");
  body.v128([bit(0), bit(1), bit(2), bit(3)]).simd("i32x4.eq");
}
