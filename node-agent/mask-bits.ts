import type { NodeId } from "../shared/expression/program.js";
import { tileSlack } from "../shared/expression/tiles.js";
import type { Kernel } from "./compute/wasm/kernel.js";
import type { TileMemory } from "./compute/wasm/memory.js";

/** Where bits are in a worker's memory, in bytes. */
interface Places {
  readonly first: number;
  /** For one mask. */
  readonly bytesEach: number;
  /** From one row to the next; undefined where blocks follow one another as in the tensor. */
  readonly bytesPerRow: number | undefined;
}

/** Bits of masks that are drawn at random: of all elements of a tensor, or of one block after the other. */
export class MaskBits {
  readonly #nodes: readonly NodeId[];
  readonly #places: Places;
  /** Whose bits are there for all elements. Undefined where only those of a block ever are. */
  readonly #complete: Set<NodeId> | undefined;

  private constructor(nodes: readonly NodeId[], places: Places, complete?: Set<NodeId>) {
    this.#nodes = nodes;
    this.#places = places;
    this.#complete = complete;
  }

  /** For a tensor, which may be worked on by `row`, between passes. Undefined if the memory has no room to keep them. */
  static keep(memory: TileMemory, nodes: readonly NodeId[], elements: number, row?: number): MaskBits | undefined {
    const bytesPerRow = row === undefined ? undefined : bytesFor(row);
    const bytesEach = row === undefined ? bytesFor(elements) : (elements / row) * bytesFor(row);
    const first = memory.keep(nodes.length * bytesEach);
    return first === undefined ? undefined : new MaskBits(nodes, { first, bytesEach, bytesPerRow }, new Set());
  }

  /** For blocks of up to `block` elements, until the memory is reset. */
  static ofBlock(memory: TileMemory, nodes: readonly NodeId[], block: number): MaskBits {
    const bytesEach = bytesFor(block);
    const first = memory.allocate(nodes.length * bytesEach, `the masks of ${block} elements`);
    return new MaskBits(nodes, { first, bytesEach, bytesPerRow: 0 });
  }

  isComplete(node: NodeId): boolean {
    return this.#complete?.has(node) === true;
  }

  /** To be called after a pass over all elements that drew these. */
  complete(nodes: readonly NodeId[]): void {
    for (const node of nodes) this.#complete?.add(node);
  }

  /** Where a mask's bits begin for the row, or for the block that starts with the element `index`, a multiple of 16. */
  addressOf(node: NodeId, index: number, row: number): number {
    const { first, bytesEach, bytesPerRow } = this.#places;
    const offset = bytesPerRow === undefined ? index / 8 : row * bytesPerRow;
    return first + this.#nodes.indexOf(node) * bytesEach + offset;
  }
}

/** Gives the kernel of a pass the bits of its masks, and has those drawn that are not there yet. */
export class MaskDrawing {
  /** What is drawn. */
  readonly nodes: readonly NodeId[];
  /** What draws; undefined if nothing is drawn. */
  readonly kernel: Kernel | undefined;
  readonly #bits: MaskBits;
  readonly #reader: Kernel;

  constructor(bits: MaskBits, reader: Kernel, kernelOf: (nodes: readonly NodeId[]) => Kernel) {
    this.#bits = bits;
    this.#reader = reader;
    this.nodes = reader.maskNodes.filter((node) => !bits.isComplete(node));
    this.kernel = this.nodes.length === 0 ? undefined : kernelOf(this.nodes);
  }

  /** To be called before the kernel runs over a block, with what it runs over. */
  prepare(inputs: readonly number[], count: number, index: number, row: number): void {
    const addressOf = (node: NodeId): number => this.#bits.addressOf(node, index, row);
    this.#reader.setMasks(addressOf);
    if (this.kernel === undefined) return;
    this.kernel.setPointers(inputs, 0);
    this.kernel.setMasks(addressOf);
    this.kernel.run(count, index, row);
  }

  /** To be called after the pass. */
  finish(): void {
    this.#bits.complete(this.nodes);
  }
}

/** Kernels write the bits of all elements that they work on at once, however few of those there are. */
function bytesFor(elements: number): number {
  return Math.ceil(elements / tileSlack) * (tileSlack / 8);
}
