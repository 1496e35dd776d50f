import { type ComputableDtype, dtypeBytes } from "../../shared/checkpoint/dtypes.js";
import { loadLanes } from "../compute/wasm/dtype-lanes.js";
import { encodeModule, FunctionBody } from "../compute/wasm/encoder.js";
import { wasmFunction } from "../compute/wasm/wasm-function.js";
import { computable, type StoredInput } from "./input.js";
import { type InputReader, type ReadContext, stagedElements } from "./reader.js";

/** Elements in a trip of the loop: no more than a tile's slack, which a span's last trip stays within. */
const tripElements = 16;

/** Reads a stored tensor as F32, exactly but for F64, which is rounded. */
export class WidenedReader implements InputReader {
  readonly #input: StoredInput;
  readonly #dtype: ComputableDtype;
  readonly #context: ReadContext;

  constructor(input: StoredInput, context: ReadContext) {
    this.#input = input;
    this.#dtype = computable(input.dtype);
    this.#context = context;
  }

  read(begin: number, end: number, into: number): void {
    const { file, offset } = this.#input;
    const width = dtypeBytes(this.#dtype);
    if (this.#dtype === "F32") {
      if (end > begin) this.#context.read(file, into, (end - begin) * width, offset + begin * width);
      return;
    }
    const { memory, staging } = this.#context;
    const widen = wasmFunction(memory, `widen ${this.#dtype}`, (pages) => encodeWiden(this.#dtype, pages));
    for (let at = begin; at < end; at += stagedElements) {
      const count = Math.min(stagedElements, end - at);
      this.#context.read(file, staging, count * width, offset + at * width);
      widen(staging, into + 4 * (at - begin), Math.ceil(count / tripElements));
    }
  }
}

/** `run(from, into, trips)`: widens 16 elements per trip. */
function encodeWiden(dtype: ComputableDtype, maximumPages: number): Uint8Array<ArrayBuffer> {
  const [from, into, trips] = [0, 1, 2] as const;
  const body = new FunctionBody(3);
  body.loop(() => {
    for (let vector = 0; vector < tripElements / 4; vector += 1) {
      body.get(into);
      loadLanes(body, dtype, from, 4 * vector * dtypeBytes(dtype));
      body.store("v128.store", 16 * vector);
    }
    body
      .get(from)
      .i32(tripElements * dtypeBytes(dtype))
      .op("i32.add")
      .set(from);
    body
      .get(into)
      .i32(tripElements * 4)
      .op("i32.add")
      .set(into);
    body.get(trips).i32(1).op("i32.sub").tee(trips).branchIf(0);
  });
  return encodeModule(body, 3, maximumPages);
}
