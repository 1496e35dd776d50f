import { type ComputableDtype, dtypeBytes } from "../../../shared/checkpoint/dtypes.js";
import { loadLanes, pushWidenedBf16 } from "./dtype-lanes.js";
import type { FunctionBody, Local } from "./encoder.js";
import { type Vector, vectorLanes } from "./loop.js";

/** The elements of a kernel's inputs, as f32 lanes. */
export class InputLanes {
  readonly #body: FunctionBody;
  readonly #dtypes: readonly ComputableDtype[];
  /** Of the inputs that the kernel reads, in the control block's order. */
  readonly pointers: ReadonlyMap<number, Local>;
  /** Eight bf16 elements: those of a pair of vectors. */
  readonly #eights = new Map<string, Local>();

  constructor(body: FunctionBody, dtypes: readonly ComputableDtype[], inputs: Iterable<number>) {
    this.#body = body;
    this.#dtypes = dtypes;
    this.pointers = new Map([...inputs].map((input) => [input, body.local("i32")]));
  }

  /** Pushes an input's lanes. */
  push(input: number, { number }: Vector): void {
    const dtype = this.dtypeOf(input);
    const pointer = this.#pointerOf(input);
    const offset = number * vectorLanes * dtypeBytes(dtype);
    if (dtype !== "BF16") loadLanes(this.#body, dtype, pointer, offset);
    else pushWidenedBf16(this.#body, this.eightOf(input, number), number % 2 === 0 ? "low" : "high");
  }

  /** To be called at the start of every iteration. */
  begin(): void {
    this.#eights.clear();
  }

  /** The eight bf16 elements that a vector's are among. */
  eightOf(input: number, vector: number): Local {
    const pair = Math.floor(vector / 2);
    const key = `${input} ${pair}`;
    let eight = this.#eights.get(key);
    if (eight === undefined) {
      eight = this.#body.local("v128");
      const offset = pair * 2 * vectorLanes * dtypeBytes("BF16");
      this.#body.get(this.#pointerOf(input)).load("v128.load", offset).set(eight);
      this.#eights.set(key, eight);
    }
    return eight;
  }

  dtypeOf(input: number): ComputableDtype {
    return this.#dtypes[input] ?? "F32";
  }

  advance(step: number): void {
    for (const [input, pointer] of this.pointers) {
      const bytes = step * dtypeBytes(this.dtypeOf(input));
      this.#body.get(pointer).i32(bytes).op("i32.add").set(pointer);
    }
  }

  #pointerOf(input: number): Local {
    return this.pointers.get(input) ?? -1;
  }
}
