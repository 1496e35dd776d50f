import { type ComputableDtype, dtypeBytes } from "../shared/checkpoint/dtypes.js";
import { tileSlack } from "../shared/expression/tiles.js";
import type { TileMemory } from "./compute/wasm/memory.js";

/** What a worker keeps of a piece's inputs at most. */
const maxKeptBytes = 64 << 20;

/**
 * The first elements of a tensor's inputs, as they are stored, in a worker's memory from the first pass to the last: what
 * is here is not read again.
 */
export class KeptInputs {
  readonly elements: number;
  /** Everything has been read. */
  isComplete = false;
  readonly #dtypes: readonly ComputableDtype[];
  readonly #addresses: readonly number[];

  private constructor(elements: number, dtypes: readonly ComputableDtype[], addresses: readonly number[]) {
    this.elements = elements;
    this.#dtypes = dtypes;
    this.#addresses = addresses;
  }

  /** As many whole blocks as there is room for; undefined if there is none. */
  static keep(
    memory: TileMemory,
    dtypes: readonly ComputableDtype[],
    { elements, block }: { readonly elements: number; readonly block: number },
  ): KeptInputs | undefined {
    const bytesPerElement = dtypes.reduce((bytes, dtype) => bytes + dtypeBytes(dtype), 0);
    const room = Math.min(maxKeptBytes, memory.roomToKeep) - tileSlack * bytesPerElement;
    const blocks = Math.floor(room / bytesPerElement / block);
    if (blocks <= 0) return undefined;
    const kept = Math.min(elements, blocks * block);
    const first = memory.keep((kept + tileSlack) * bytesPerElement);
    if (first === undefined) return undefined;
    let at = first;
    const addresses = dtypes.map((dtype) => {
      const address = at;
      at += (kept + tileSlack) * dtypeBytes(dtype);
      return address;
    });
    return new KeptInputs(kept, dtypes, addresses);
  }

  /** Where each input's element `index` is. */
  addressesOf(index: number): readonly number[] {
    return this.#addresses.map((address, input) => address + index * dtypeBytes(this.#dtypes[input] ?? "F32"));
  }
}
