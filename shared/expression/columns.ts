import { type Extent, extentsOf, isReduction, type NodeId, nodeAt, type Program, reachable } from "./program.js";
import type { Scalars } from "./scalars.js";

/**
 * The column values of one tensor: sums over columns as passes find them, and what follows from them. Evaluated like
 * row values, one column after the other, in f64.
 */
export class Columns {
  readonly #program: Program;
  readonly #scalars: Scalars;
  readonly #columns: number;
  readonly #extents: readonly Extent[];
  readonly #sums = new Map<NodeId, Float64Array>();

  constructor(program: Program, scalars: Scalars, columns: number) {
    this.#program = program;
    this.#scalars = scalars;
    this.#columns = columns;
    this.#extents = extentsOf(program.nodes);
  }

  /**
   * Takes in a column sum, as accumulators over one block (see blockOf()): element i of a block is in accumulator i,
   * so a column has one accumulator for each slice in the block. They are added from first to last.
   */
  finish(sum: NodeId, accumulators: Float64Array): void {
    const totals = new Float64Array(this.#columns);
    accumulators.forEach((partial, i) => {
      const column = i % this.#columns;
      totals[column] = (totals[column] ?? 0) + partial;
    });
    this.#sums.set(sum, totals);
  }

  /** The values of these nodes for every column. */
  valuesOf(nodes: readonly NodeId[]): ReadonlyMap<NodeId, Float64Array> {
    const values = new Map(nodes.map((id) => [id, new Float64Array(this.#columns)]));
    if (nodes.length === 0) return values;
    const isKnown = (id: NodeId): boolean => this.#sums.has(id) || this.#extents[id] === "scalar";
    const sums = reachable(this.#program, nodes, isKnown)
      .filter((id) => this.#extents[id] === "column" && isReduction(nodeAt(this.#program, id).op))
      .map((id) => ({ id, totals: this.#totalsOf(id) }));
    const results = new Map<NodeId, number>();
    for (let column = 0; column < this.#columns; column += 1) {
      for (const { id, totals } of sums) results.set(id, totals[column] ?? Number.NaN);
      this.#scalars.setLine(results);
      for (const [id, ofColumns] of values) ofColumns[column] = this.#scalars.values[id] ?? Number.NaN;
    }
    return values;
  }

  #totalsOf(sum: NodeId): Float64Array {
    const totals = this.#sums.get(sum);
    if (totals === undefined) throw new RangeError(`The columns that node ${sum} sums have not been gathered`);
    return totals;
  }
}
