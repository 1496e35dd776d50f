import { formatBytes } from "../../../shared/bytes.js";
import { AmalgamError } from "../../../shared/errors.js";

const pageBytes = 65_536;
const alignment = 64;

/**
 * A worker's tile memory: one shared WebAssembly memory that starts small, grows when a unit needs more, and never
 * beyond its budget. Regions are laid out anew for every pass; only what is kept outlives one, until the piece is done.
 */
export class TileMemory {
  readonly memory: WebAssembly.Memory;
  readonly maximumPages: number;
  readonly budgetBytes: number;
  #top = 0;
  /** End of what is kept. */
  #floor = 0;

  constructor(budgetBytes: number) {
    // 4 GiB is as far as a 32-bit address goes.
    this.budgetBytes = Math.min(budgetBytes, 65_535 * pageBytes);
    this.maximumPages = Math.max(2, Math.floor(this.budgetBytes / pageBytes));
    this.memory = new WebAssembly.Memory({ initial: 1, maximum: this.maximumPages, shared: true });
  }

  /** Forgets all regions but those that are kept. */
  reset(): void {
    this.#top = this.#floor;
  }

  /** Forgets everything. */
  clear(): void {
    this.#floor = 0;
    this.#top = 0;
  }

  /** What {@link keep} would still give: no more than half of the budget is kept. */
  get roomToKeep(): number {
    return Math.floor(this.budgetBytes / 2) - this.#floor;
  }

  /** Forgets all regions, and makes one that reset() spares; undefined if there is no room for it. */
  keep(bytes: number): number | undefined {
    this.reset();
    if (bytes > this.roomToKeep) return undefined;
    const address = this.allocate(bytes, "what is kept between passes");
    this.#floor = this.#top;
    return address;
  }

  /** The address of a new region. `what` is said in the error when it does not fit the budget. */
  allocate(bytes: number, what: string): number {
    const address = this.#top;
    const end = address + Math.ceil(bytes / alignment) * alignment;
    const pages = Math.ceil(end / pageBytes);
    if (pages > this.maximumPages) {
      throw new AmalgamError(
        "out_of_memory",
        `Cannot hold ${what}: it takes ${formatBytes(end)} and this worker may use ${formatBytes(this.budgetBytes)}; raise --memory or lower --slots`,
      );
    }
    const missing = pages - this.memory.buffer.byteLength / pageBytes;
    if (missing > 0) this.memory.grow(missing);
    this.#top = end;
    return address;
  }

  bytes(address: number, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, address, length);
  }
}
