import { isLowerCount, isUpperCount, selectLowerBits, selectUpperBits } from "./order-statistics.js";
import type { Schedule } from "./passes.js";
import { type Extent, extentsOf, isReduction, type Node, type NodeId, type Program, type Scope } from "./program.js";
import { type Partial, totalOf } from "./statistics.js";

/** What a program needs to know of one tensor besides its elements. */
export interface TensorContext {
  /** The value of every parameter slot. */
  readonly parameters: readonly number[];
  /** Elements in a row (the last dimension), in a column, in the tensor, and in all tensors that run this program. */
  readonly counts: Readonly<Record<Scope, number>>;
}

/** The counts for a tensor of `elements` elements, divided as divisionOf() says. */
export function countsOf(
  { elements, row, columns }: { elements: number; row: number; columns: number },
  modelElements: number,
): TensorContext["counts"] {
  return { row, column: elements / columns, tensor: elements, model: modelElements };
}

/** The operators on plain numbers: what a scalar is computed with, in f64, and what the interpreter rounds to f32. */
export const arithmetic: Readonly<Record<string, (a: number, b: number, c: number) => number>> = {
  negate: (a) => -a,
  abs: Math.abs,
  // Math.sign keeps the sign of zero; here zero is zero.
  sign: (a) => (a === 0 ? 0 : Math.sign(a)),
  sqrt: Math.sqrt,
  floor: Math.floor,
  exp: Math.exp,
  log: Math.log,
  acos: Math.acos,
  sin: Math.sin,
  cos: Math.cos,
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  min: (a, b) => Math.min(a, b),
  max: (a, b) => Math.max(a, b),
  less: (a, b) => Number(a < b),
  lessOrEqual: (a, b) => Number(a <= b),
  equal: (a, b) => Number(a === b),
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  select: (mask, then, otherwise) => (mask === 0 ? otherwise : then),
};

/**
 * The values of a program's scalars for one tensor, and of its row or column values for one row or column at a time:
 * everything that is not per element. Computed in f64, rounded to f32 only where an element meets it.
 */
export class Scalars {
  readonly #program: Program;
  readonly #schedule: Schedule;
  readonly #extents: readonly Extent[];
  readonly #context: TensorContext;
  readonly #lineNodes: readonly NodeId[];
  /** By node id. NaN where a value is not known yet, or differs per element. */
  readonly values: Float64Array;
  /** All that the statistics passes have found so far, by {@link Schedule} slot. */
  readonly statistics: Float64Array;

  constructor(program: Program, schedule: Schedule, context: TensorContext, statistics?: ArrayLike<number>) {
    this.#program = program;
    this.#schedule = schedule;
    this.#extents = extentsOf(program.nodes);
    this.#context = context;
    this.#lineNodes = [...program.nodes.keys()].filter((id) => ["row", "column"].includes(this.#extents[id] ?? ""));
    this.values = new Float64Array(program.nodes.length).fill(Number.NaN);
    this.statistics = new Float64Array(schedule.slots).fill(Number.NaN);
    if (statistics !== undefined) this.statistics.set(statistics);
    this.#evaluateScalars();
  }

  /** Takes in what pass `pass` gathered: one partial per gather, in order, each whole. */
  finishPass(pass: number, partials: readonly Partial[]): void {
    this.#schedule.statistics[pass]?.gathers.forEach((gather, i) => {
      const partial = partials[i];
      if (partial?.kind !== gather.kind) throw new TypeError(`Pass ${pass} gathered no ${gather.kind}`);
      const { slot } = gather;
      if (isUpperCount(partial.kind) && "counts" in partial) {
        const k = this.values[this.#program.nodes[gather.node]?.args[1] ?? -1] ?? Number.NaN;
        this.statistics.set(selectUpperBits(partial.counts, k), slot);
      } else if (isLowerCount(partial.kind) && "counts" in partial) {
        const [bin, rank] = this.upperBitsOf(gather.node);
        this.statistics[slot] = selectLowerBits(partial.kind, partial.counts, bin, rank);
      } else {
        this.statistics[slot] = totalOf(partial);
      }
    });
    this.#evaluateScalars();
  }

  /** Where an order statistic's first counting pass found it to lie. */
  upperBitsOf(node: NodeId): [bin: number, rank: number] {
    const slot = this.#slotOf(node, true);
    return [this.statistics[slot] ?? -1, this.statistics[slot + 1] ?? 0];
  }

  /** Sets one row's or column's reductions and evaluates what follows from them, row or column values only. */
  setLine(results: ReadonlyMap<NodeId, number>): void {
    for (const id of this.#lineNodes) {
      const node = this.#program.nodes[id];
      if (node !== undefined) this.values[id] = results.get(id) ?? this.#evaluate(node);
    }
  }

  #evaluateScalars(): void {
    this.#program.nodes.forEach((node, id) => {
      if (this.#extents[id] !== "scalar") return;
      this.values[id] = isReduction(node.op) ? this.#reduced(id) : this.#evaluate(node);
    });
  }

  #reduced(id: NodeId): number {
    const slot = this.#slotOf(id, false);
    return slot < 0 ? Number.NaN : (this.statistics[slot] ?? Number.NaN);
  }

  /** Where a reduction's result is, or with `upper` what the first of its two counting passes found. */
  #slotOf(node: NodeId, upper: boolean): number {
    for (const pass of this.#schedule.statistics) {
      for (const gather of pass.gathers) {
        if (gather.node === node && isUpperCount(gather.kind) === upper) return gather.slot;
      }
    }
    return -1;
  }

  #evaluate(node: Node): number {
    switch (node.op) {
      case "constant":
        return node.value;
      case "parameter":
        return this.#context.parameters[node.value] ?? Number.NaN;
      case "count":
        return this.#context.counts[node.scope ?? "tensor"];
      default: {
        const [a = 0, b = 0, c = 0] = node.args.map((id) => this.values[id] ?? Number.NaN);
        return arithmetic[node.op]?.(a, b, c) ?? Number.NaN;
      }
    }
  }
}
