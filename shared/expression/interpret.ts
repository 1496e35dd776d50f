import { Columns } from "./columns.js";
import { blockOf, type Division } from "./division.js";
import { exp32, log32 } from "./elementary.js";
import { binsOf, isUpperCount, keyBits } from "./order-statistics.js";
import { argumentOf, type Gather, rowGroups, type Schedule, schedule } from "./passes.js";
import { extentsOf, isReduction, type NodeId, nodeAt, type Program } from "./program.js";
import { type RandomKey, uniformAt } from "./random.js";
import { ranksOf } from "./ranks.js";
import { arithmetic, countsOf, Scalars } from "./scalars.js";
import { addLanes, type Partial } from "./statistics.js";

export interface InterpretedTensor {
  /** One per model, all of the same length. */
  readonly inputs: readonly Float32Array[];
  readonly parameters: readonly number[];
  /** Elements per row: the last dimension. Default: the whole tensor is one row. */
  readonly rowElements?: number;
  /** Elements in one slice of the first dimension. Default: the tensor is a matrix, and this is its row. */
  readonly columns?: number;
  /** Elements of all tensors of the model that run this program. Default: this tensor is the model. */
  readonly modelElements?: number;
  /** One key per random stream. */
  readonly keys?: readonly RandomKey[];
  /** For model-scope reductions: the finished statistics. Default: gathered from this tensor. */
  readonly statistics?: ArrayLike<number>;
}

/**
 * Runs a program the slow and obvious way. `"f32"` rounds after every operator and adds in the documented order, so it
 * is bit for bit what the compiled code must give; `"f64"` does not round and tells how much rounding matters.
 */
export function interpret(program: Program, tensor: InterpretedTensor, precision: "f32" | "f64" = "f32"): Float64Array {
  const plan = schedule(program);
  const { scalars, elementwise } = prepare(program, plan, tensor, precision, tensor.statistics);
  if (tensor.statistics === undefined) {
    plan.statistics.forEach(({ gathers, columnSums }, index) => {
      const partials = gathers.map((gather) => elementwise.gather(gather));
      for (const node of columnSums) elementwise.sumColumns(node);
      scalars.finishPass(index, partials);
    });
  }
  return elementwise.evaluate(program.output);
}

/** Gathers one pass's partials over one tensor, for tests of distributed passes. */
export function gatherPass(
  program: Program,
  tensor: InterpretedTensor,
  pass: number,
  known: ArrayLike<number>,
): Partial[] {
  const plan = schedule(program);
  const { elementwise } = prepare(program, plan, tensor, "f32", known);
  return (plan.statistics[pass]?.gathers ?? []).map((gather) => elementwise.gather(gather));
}

function prepare(
  program: Program,
  plan: Schedule,
  tensor: InterpretedTensor,
  precision: "f32" | "f64",
  statistics: ArrayLike<number> | undefined,
): { scalars: Scalars; elementwise: Elements } {
  const elements = tensor.inputs[0]?.length ?? 0;
  const row = Math.max(1, tensor.rowElements ?? elements);
  const division = { elements, row, columns: tensor.columns ?? row };
  const counts = countsOf(division, tensor.modelElements ?? elements);
  const scalars = new Scalars(program, plan, { parameters: tensor.parameters, counts }, statistics);
  return { scalars, elementwise: new Elements(program, plan, tensor, division, precision, scalars) };
}

/** The operators on elements, each rounded once where its inside does not already say how. */
const f32Operators: Readonly<Record<string, (x: number) => number>> = { exp: exp32, log: log32 };

class Elements {
  readonly #program: Program;
  readonly #schedule: Schedule;
  readonly #tensor: InterpretedTensor;
  readonly #division: Division;
  /** Elements that share their row values, or whose sum is one partial. */
  readonly #block: number;
  readonly #precision: "f32" | "f64";
  readonly #scalars: Scalars;
  readonly #columns: Columns;

  constructor(
    program: Program,
    plan: Schedule,
    tensor: InterpretedTensor,
    division: Division,
    precision: "f32" | "f64",
    scalars: Scalars,
  ) {
    this.#program = program;
    this.#schedule = plan;
    this.#tensor = tensor;
    this.#division = division;
    this.#block = blockOf(plan, division);
    this.#precision = precision;
    this.#scalars = scalars;
    this.#columns = new Columns(program, scalars, division.columns);
  }

  /** A node's value for every element. */
  evaluate(target: NodeId): Float64Array {
    const { elements, row } = this.#division;
    if (!this.#schedule.rowwise) return this.#segment(target, 0, elements, 0);
    const result = new Float64Array(elements);
    for (let begin = 0, number = 0; begin < elements; begin += row, number += 1) {
      this.#scalars.setLine(this.#rowResults(target, begin, number));
      result.set(this.#segment(target, begin, row, number), begin);
    }
    return result;
  }

  gather(gather: Gather): Partial {
    const values = this.evaluate(argumentOf(this.#program, gather.node));
    switch (gather.kind) {
      case "sum": {
        const block = this.#block;
        const blocks: number[] = [];
        for (let at = 0; at < values.length; at += block) blocks.push(sumOf(values.subarray(at, at + block)));
        return { kind: "sum", blocks: Float64Array.from(blocks) };
      }
      case "largest":
        return { kind: "largest", value: largestOf(values) };
      default: {
        const { kind } = gather;
        const counts = new Float64Array(binsOf(kind));
        const [bin] = this.#scalars.upperBitsOf(gather.node);
        for (const x of values) {
          const key = keyBits(kind, x);
          if (isUpperCount(kind)) increment(counts, key >>> 16);
          else if (key >>> 16 === bin) increment(counts, key & 0xffff);
        }
        return { kind, counts };
      }
    }
  }

  /** Adds up the columns, slices of the first dimension one after the other. */
  sumColumns(node: NodeId): void {
    const accumulators = new Float64Array(this.#block);
    this.evaluate(argumentOf(this.#program, node)).forEach((x, i) => {
      accumulators[i % this.#block] = (accumulators[i % this.#block] ?? 0) + x;
    });
    this.#columns.finish(node, accumulators);
  }

  #rowResults(target: NodeId, begin: number, row: number): ReadonlyMap<NodeId, number> {
    const results = new Map<NodeId, number>();
    for (const group of rowGroups(this.#program, [target])) {
      for (const id of group) {
        const { op } = nodeAt(this.#program, id);
        if (!isReduction(op)) continue;
        const values = this.#segment(argumentOf(this.#program, id), begin, this.#division.row, row);
        results.set(id, op === "sum" ? sumOf(values) : largestOf(values));
      }
      this.#scalars.setLine(results);
    }
    return results;
  }

  /** A node's value for the elements [begin, begin + count), which lie in one row if the program has row values. */
  #segment(target: NodeId, begin: number, count: number, row: number): Float64Array {
    const extents = extentsOf(this.#program.nodes);
    const done = new Map<NodeId, Float64Array>();
    const visit = (id: NodeId): Float64Array => {
      const known = done.get(id);
      if (known !== undefined) return known;
      const node = nodeAt(this.#program, id);
      let values: Float64Array;
      if (extents[id] === "column") {
        const ofColumns = this.#columns.valuesOf([id]).get(id) ?? [];
        const place = (i: number): number => (begin + i) % this.#division.columns;
        values = new Float64Array(count).map((_, i) => this.#round(ofColumns[place(i)] ?? Number.NaN));
      } else if (extents[id] !== "element") {
        values = new Float64Array(count).fill(this.#round(this.#scalars.values[id] ?? Number.NaN));
      } else if (node.op === "rankInRow") {
        values = ranksOf(visit(argumentOf(this.#program, id))).map((rank) => this.#round(rank));
      } else if (node.op === "input") {
        values = Float64Array.from(this.#tensor.inputs[node.value]?.subarray(begin, begin + count) ?? []);
      } else if (node.op === "uniform") {
        const key = this.#tensor.keys?.[node.value] ?? [0, 0];
        const rowwise = this.#schedule.rowwise;
        values = new Float64Array(count).map((_, i) => uniformAt(key, rowwise ? i : begin + i, rowwise ? row : 0));
      } else {
        const [a, b, c] = node.args.map(visit);
        const own = this.#precision === "f32" ? f32Operators[node.op] : undefined;
        const operate = own ?? arithmetic[node.op] ?? (() => Number.NaN);
        values = new Float64Array(count).map((_, i) => this.#round(operate(a?.[i] ?? 0, b?.[i] ?? 0, c?.[i] ?? 0)));
      }
      done.set(id, values);
      return values;
    };
    return visit(target);
  }

  #round(x: number): number {
    return this.#precision === "f32" ? Math.fround(x) : x;
  }
}

function sumOf(values: Float64Array): number {
  const lanes = [0, 0, 0, 0];
  values.forEach((x, i) => {
    lanes[i % 4] = (lanes[i % 4] ?? 0) + x;
  });
  const [l0 = 0, l1 = 0, l2 = 0, l3 = 0] = lanes;
  return addLanes(l0, l1, l2, l3);
}

function largestOf(values: Float64Array): number {
  return values.reduce((largest, x) => Math.max(largest, x), -Infinity);
}

function increment(counts: Float64Array, bin: number): void {
  counts[bin] = (counts[bin] ?? 0) + 1;
}
