import { tileSlack } from "../../shared/expression/tiles.js";
import type { TileMemory } from "../compute/wasm/memory.js";

/** Puts elements of one input into a worker's memory. Lives as long as the memory's regions do: one pass of a piece. */
export interface InputReader {
  /**
   * Fills the memory at `into` with the elements [begin, end). What is derived is F32, and its tile is filled in
   * ascending order: up to `tileSlack` elements behind the end may be overwritten, too.
   */
  read(begin: number, end: number, into: number): void;
}

/** Elements that are widened at once: with their F32 copy they stay in a core's L2 cache. */
export const stagedElements = 32_768;

/** Where the readers of one pass get bytes and space from. */
export class ReadContext {
  readonly memory: TileMemory;
  readonly #source: (file: number, into: Uint8Array, position: number) => void;
  readonly #progress: (bytesRead: number) => void;
  #staging: number | undefined;
  #unreported = 0;

  /** `progress` is told about long reads while they last; it throws when nobody wants the piece any more. */
  constructor(
    memory: TileMemory,
    source: (file: number, into: Uint8Array, position: number) => void,
    progress: (bytesRead: number) => void,
  ) {
    this.memory = memory;
    this.#source = source;
    this.#progress = progress;
  }

  /** Fills a region from one of the unit's source files. */
  read(file: number, into: number, bytes: number, position: number): void {
    this.#source(file, this.memory.bytes(into, bytes), position);
    this.#unreported += bytes;
    if (this.#unreported >= reportedBytes) this.#progress(this.takeBytesRead());
  }

  /** Bytes read since the last call, or since progress was last told. */
  takeBytesRead(): number {
    const bytes = this.#unreported;
    this.#unreported = 0;
    return bytes;
  }

  /** Room for {@link stagedElements} of any dtype, for bytes that are used before anything else is read. */
  get staging(): number {
    this.#staging ??= this.memory.allocate(8 * (stagedElements + tileSlack), "elements to be widened to F32");
    return this.#staging;
  }
}

/** Several tiles' worth: a plain input's tile is reported when it is done. */
const reportedBytes = 8 << 20;
