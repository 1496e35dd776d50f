import { tileSlack } from "../../shared/expression/tiles.js";
import { rankRow } from "./rank.js";
import type { TileMemory } from "./wasm/memory.js";
import { encodeRankRow, rankArguments } from "./wasm/rank-code.js";
import { countBytes, keyMargin, maxRanked } from "./wasm/rank-row.js";
import { wasmFunction } from "./wasm/wasm-function.js";

/** Ranks rows that are in a worker's memory. Has a region of it until the memory is reset. */
export class RowRanker {
  /** Where the row to be ranked goes, in f32. */
  readonly address: number;
  readonly #memory: TileMemory;
  readonly #elements: number;
  readonly #lists: { readonly keys: number; readonly order: number; readonly counts: number; readonly done: number };
  readonly #run: (...parameters: number[]) => void;
  /** Gets a 1 from the WebAssembly function; a view of the memory as large as it was. */
  #done: Uint32Array<ArrayBufferLike> = new Uint32Array();

  /** For rows of up to `elements` elements. `what` is said in the error if the memory has no room. */
  constructor(memory: TileMemory, elements: number, what: string) {
    const take = (bytes: number): number => memory.allocate(bytes, what);
    const listBytes = 4 * (elements + tileSlack);
    const marginBytes = 4 * keyMargin;
    this.#memory = memory;
    this.#elements = elements;
    this.address = take(listBytes);
    this.#lists = {
      keys: take(listBytes + marginBytes) + marginBytes,
      order: take(listBytes),
      counts: take(countBytes(Math.min(elements, maxRanked))),
      done: take(4),
    };
    this.#run = wasmFunction(memory, "rank row", encodeRankRow);
  }

  /** Ranks the row at {@link address}, which it does not keep, into f32 at `ranks`; see Expression.rankInRow(). */
  rank(ranks: number, count: number): void {
    if (count > 1 && count <= maxRanked) {
      this.#run(...rankArguments({ bits: this.address, count, ranks, ...this.#lists }));
      if (this.#isDone()) return;
    }
    const { buffer } = this.#memory.memory;
    const list = (address: number): Uint32Array => new Uint32Array(buffer, address, this.#elements);
    const { keys, order } = this.#lists;
    const bits = list(this.address);
    rankRow(
      { bits, ranks: new Float32Array(buffer, ranks, this.#elements), scratch: [list(keys), list(order)] },
      count,
    );
  }

  #isDone(): boolean {
    const { buffer } = this.#memory.memory;
    if (this.#done.buffer !== buffer) this.#done = new Uint32Array(buffer, this.#lists.done, 1);
    return this.#done[0] === 1;
  }
}
