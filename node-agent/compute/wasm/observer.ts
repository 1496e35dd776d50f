import type { ComputableDtype } from "../../../shared/checkpoint/dtypes.js";
import { overflowBits } from "./dtype-lanes.js";
import type { Local } from "./encoder.js";
import { type Loop, type Vector, zeroBeyond } from "./loop.js";
import { storeResult } from "./reducers.js";

/** Where in the results a map kernel leaves what it saw; inputs follow one another. */
export const observed = { finite: 0, representable: 1, largest: 2, firstInput: 3 } as const;

const infinity = 0x7f80_0000;

/**
 * What a receipt says of the output and of the inputs. Finite elements are counted, so that NaN and ∞ follow; so are
 * elements that the output dtype can hold; and the largest magnitude is kept.
 */
export class Observer {
  readonly #loop: Loop;
  readonly #overflow: number;
  readonly #finite: Local;
  readonly #representable: Local;
  readonly #largest: Local;
  readonly #inputs: readonly Local[];

  constructor(loop: Loop, output: ComputableDtype, inputs: number) {
    const counter = (): Local => loop.body.local("v128");
    this.#loop = loop;
    this.#overflow = overflowBits[output];
    this.#finite = counter();
    this.#representable = counter();
    this.#largest = counter();
    this.#inputs = Array.from({ length: inputs }, counter);
  }

  seeOutput(lanes: Local, vector: Vector): void {
    const { body } = this.#loop;
    const magnitude = body.local("v128");
    body
      .get(zeroBeyond(this.#loop, lanes, vector))
      .simd("f32x4.abs")
      .set(magnitude);
    body.get(this.#largest).get(magnitude).simd("f32x4.pmax").set(this.#largest);
    this.#count(this.#finite, magnitude, infinity, vector);
    if (this.#overflow !== infinity) this.#count(this.#representable, magnitude, this.#overflow, vector);
  }

  seeInput(input: number, lanes: Local, vector: Vector): void {
    const { body } = this.#loop;
    const magnitude = body.local("v128");
    body.get(lanes).simd("f32x4.abs").set(magnitude);
    this.#count(this.#inputs[input] ?? -1, magnitude, infinity, vector);
  }

  finish(): void {
    storeResult(this.#loop, observed.finite, this.#finite);
    storeResult(this.#loop, observed.representable, this.#representable);
    storeResult(this.#loop, observed.largest, this.#largest);
    this.#inputs.forEach((counter, input) => {
      storeResult(this.#loop, observed.firstInput + input, counter);
    });
  }

  /** A mask is −1 in every lane where it holds. */
  #count(counter: Local, magnitude: Local, limit: number, { exists }: Vector): void {
    const { body } = this.#loop;
    body.get(counter).get(magnitude).splat(limit).simd("f32x4.lt");
    if (exists !== undefined) body.get(exists).simd("v128.and");
    body.simd("i32x4.sub").set(counter);
  }
}
