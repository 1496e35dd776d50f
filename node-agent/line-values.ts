import type { Columns } from "../shared/expression/columns.js";
import { argumentOf, rowGroups } from "../shared/expression/passes.js";
import { isMask, isReduction, type NodeId, nodeAt, type Program } from "../shared/expression/program.js";
import type { Scalars } from "../shared/expression/scalars.js";
import { tileSlack } from "../shared/expression/tiles.js";
import { quote } from "../shared/quote.js";
import { RowRanker } from "./compute/row-ranker.js";
import type { Kernel, Task } from "./compute/wasm/kernel.js";
import type { TileMemory } from "./compute/wasm/memory.js";

export interface LineValuesOptions {
  /** The tensor's name, for messages. */
  readonly tensor: string;
  readonly program: Program;
  /** What the pass's kernels evaluate. */
  readonly targets: readonly NodeId[];
  /** Whether the pass has a node from an earlier one, so that nothing it depends on is needed. */
  readonly isKnown: (node: NodeId) => boolean;
  readonly scalars: Scalars;
  readonly columns: Columns;
  readonly memory: TileMemory;
  /** Elements of one run of a kernel: a row in rowwise programs. */
  readonly block: number;
  /** A kernel of this task, ready but for pointers, scalars and prepared values. */
  readonly kernelOf: (task: Task, name: string) => Kernel;
}

/** The reductions and ranks of a row that need nothing but those of the groups before. */
interface RowGroup {
  readonly reductions: readonly NodeId[];
  /** Undefined where there are none. */
  readonly reducing: Kernel | undefined;
  readonly ranks: readonly { readonly node: NodeId; readonly evaluating: Kernel }[];
}

/**
 * What a pass's kernel needs to know of a whole row or column before it can run over an element of it. Row values are
 * worked out row by row; column values, which all sums are known for by then, once for the pass.
 */
export class LineValues {
  readonly #options: LineValuesOptions;
  readonly #groups: readonly RowGroup[];
  /** Where values that kernels get ready-made are, by node: a block of f32 each. */
  readonly #prepared = new Map<NodeId, number>();
  /** Undefined where nothing is ranked. */
  readonly #ranker: RowRanker | undefined;

  /** Takes memory for a block of each prepared value. `kernels` are the pass's own. */
  constructor(kernels: readonly Kernel[], options: LineValuesOptions) {
    const preparedNodes = [...new Set(kernels.flatMap((kernel) => kernel.preparedNodes))];
    this.#options = options;
    this.#groups = rowGroups(options.program, options.targets, options.isKnown).map((group) => this.#rowGroup(group));
    const ranks = this.#groups.flatMap((group) => group.ranks.map(({ node }) => node));
    for (const node of ranks.length > 0 ? ranks : preparedNodes) {
      this.#prepared.set(node, this.#allocate("the values of"));
    }
    this.#ranker =
      ranks.length > 0
        ? new RowRanker(options.memory, options.block, this.#ofRow("what ranking takes for"))
        : undefined;
    if (ranks.length === 0) this.#spreadColumns(preparedNodes);
    const addressOf = (node: NodeId): number => this.#prepared.get(node) ?? 0;
    for (const kernel of kernels) kernel.setPrepared(addressOf);
    for (const lineKernel of this.#groups.flatMap(kernelsOf)) {
      lineKernel.setPrepared(addressOf);
      lineKernel.setScalars(options.scalars.values);
    }
  }

  /** There are values that setRow() finds anew for each row. */
  get differByRow(): boolean {
    return this.#groups.length > 0;
  }

  /** Works out the values of one row, whose inputs are at `pointers`. Scalars have the row's values afterwards. */
  setRow(pointers: readonly number[], elements: number, row: number): void {
    const { program, scalars } = this.#options;
    const results = new Map<NodeId, number>();
    this.#groups.forEach((group, place) => {
      const { reductions, reducing, ranks } = group;
      // The first group's scalars are the same for all rows.
      if (place > 0) for (const kernel of kernelsOf(group)) kernel.setScalars(scalars.values);
      if (reducing !== undefined) {
        reducing.setPointers(pointers, 0);
        reducing.run(elements, 0, row);
      }
      for (const { node, evaluating } of ranks) this.#rank(node, evaluating, pointers, elements, row);
      reductions.forEach((id, place) => {
        const isSum = nodeAt(program, id).op === "sum";
        results.set(id, (isSum ? reducing?.sum(place) : reducing?.largest(place)) ?? Number.NaN);
      });
      scalars.setLine(results);
    });
  }

  #rank(node: NodeId, evaluating: Kernel, pointers: readonly number[], elements: number, row: number): void {
    if (this.#ranker === undefined) return;
    evaluating.setPointers(pointers, this.#ranker.address);
    evaluating.run(elements, 0, row);
    this.#ranker.rank(this.#prepared.get(node) ?? 0, elements);
  }

  #rowGroup(group: readonly NodeId[]): RowGroup {
    const { program, kernelOf } = this.#options;
    const isRowReduction = (id: NodeId): boolean => isReduction(nodeAt(program, id).op);
    const reductions = group.filter(isRowReduction);
    return {
      reductions,
      reducing:
        reductions.length === 0 ? undefined : kernelOf({ kind: "rows", reductions }, `rows ${reductions.join()}`),
      ranks: group
        .filter((id) => !isRowReduction(id))
        .map((id) => {
          const node = argumentOf(program, id);
          return { node: id, evaluating: kernelOf({ kind: "evaluate", node }, `evaluate ${node}`) };
        }),
    };
  }

  /** Writes column values out over a block, as often as it has slices. */
  #spreadColumns(nodes: readonly NodeId[]): void {
    const { program, columns, block } = this.#options;
    for (const [node, values] of columns.valuesOf(nodes)) {
      const address = this.#prepared.get(node) ?? 0;
      const asMask = isMask(nodeAt(program, node).op);
      const spread = asMask ? this.#view(Int32Array, address) : this.#view(Float32Array, address);
      for (let i = 0; i < block; i += 1) {
        const value = values[i % values.length] ?? Number.NaN;
        spread[i] = asMask ? -Number(value !== 0) : value;
      }
    }
  }

  #allocate(what: string): number {
    const { memory, block } = this.#options;
    return memory.allocate((block + tileSlack) * Float32Array.BYTES_PER_ELEMENT, this.#ofRow(what));
  }

  #ofRow(what: string): string {
    const { tensor, block } = this.#options;
    return `${what} a row of ${block} elements of ${quote(tensor)}`;
  }

  #view<View>(View: new (buffer: SharedArrayBuffer, address: number, length: number) => View, address: number): View {
    return new View(this.#options.memory.memory.buffer, address, this.#options.block);
  }
}

function kernelsOf({ reducing, ranks }: RowGroup): readonly Kernel[] {
  const evaluating = ranks.map((rank) => rank.evaluating);
  return reducing === undefined ? evaluating : [reducing, ...evaluating];
}
