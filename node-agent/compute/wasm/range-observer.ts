import type { ComputableDtype } from "../../../shared/checkpoint/dtypes.js";
import { overflowBits } from "./dtype-lanes.js";
import type { Local } from "./encoder.js";
import type { InputLanes } from "./input-lanes.js";
import { type Loop, type Vector, zeroBeyond } from "./loop.js";
import { pushMagnitude } from "./operators.js";
import { storeResult } from "./reducers.js";

/** Where a map kernel that only looks at ranges leaves what it saw. */
export const ranges = { inputs16: 0, inputs32: 1, output: 2 } as const;

/**
 * Finds out whether there is anything to count: an element of an input that is not finite, or one of the output that
 * its dtype cannot hold. Magnitudes are compared as integers, which sort NaN above ∞. Inputs lose their sign by being
 * doubled; bf16 is compared before it is widened, eight elements at once.
 */
export class RangeObserver {
  readonly #loop: Loop;
  readonly #inputs: InputLanes;
  readonly #inputs16: Local;
  readonly #inputs32: Local;
  readonly #output: Local;

  constructor(loop: Loop, inputs: InputLanes) {
    this.#loop = loop;
    this.#inputs = inputs;
    this.#inputs16 = loop.body.local("v128");
    this.#inputs32 = loop.body.local("v128");
    this.#output = loop.body.local("v128");
  }

  seeOutput(lanes: Local, vector: Vector): void {
    const { body } = this.#loop;
    pushMagnitude(body, zeroBeyond(this.#loop, lanes, vector));
    body.get(this.#output).simd("i32x4.max_s").set(this.#output);
  }

  seeInput(input: number, lanes: Local, vector: Vector): void {
    const { body } = this.#loop;
    if (this.#inputs.dtypeOf(input) === "BF16" && vector.exists === undefined) {
      if (vector.number % 2 === 1) return;
      const eight = this.#inputs.eightOf(input, vector.number);
      body.get(eight).get(eight).simd("i16x8.add").get(this.#inputs16).simd("i16x8.max_u").set(this.#inputs16);
    } else {
      const existing = zeroBeyond(this.#loop, lanes, vector);
      body.get(existing).get(existing).simd("i32x4.add").get(this.#inputs32).simd("i32x4.max_u").set(this.#inputs32);
    }
  }

  finish(): void {
    storeResult(this.#loop, ranges.inputs16, this.#inputs16);
    storeResult(this.#loop, ranges.inputs32, this.#inputs32);
    storeResult(this.#loop, ranges.output, this.#output);
  }
}

/** The largest magnitude of the output; undefined if there is something to count. */
export function largestInRange(
  memory: ArrayBufferLike,
  resultAt: (place: number) => number,
  output: ComputableDtype,
): number | undefined {
  const largest = (lanes: Uint16Array | Uint32Array): number => Math.max(...lanes);
  const outputBits = largest(new Uint32Array(memory, resultAt(ranges.output), 4));
  const isInRange =
    largest(new Uint16Array(memory, resultAt(ranges.inputs16), 8)) < doubledInfinity >>> 16 &&
    largest(new Uint32Array(memory, resultAt(ranges.inputs32), 4)) < doubledInfinity &&
    outputBits < overflowBits[output];
  return isInRange ? new Float32Array(Uint32Array.of(outputBits).buffer)[0] : undefined;
}

/** Of f32, shifted left by the sign's bit. */
const doubledInfinity = 0xff00_0000;
