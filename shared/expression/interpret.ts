import { argumentOf, type Gather, rowGroups, type Schedule, schedule } from "./passes.js";
import { extentsOf, type NodeId, nodeAt, type Program } from "./program.js";
import { type RandomKey, uniformAt } from "./random.js";
import { arithmetic, Scalars, type TensorContext } from "./scalars.js";
import { addLanes, blockElements, lowerBins, magnitudeBits, type Partial, upperBins } from "./statistics.js";

export interface InterpretedTensor {
  /** One per model, all of the same length. */
  readonly inputs: readonly Float32Array[];
  readonly parameters: readonly number[];
  /** Elements per row: the last dimension. Default: the whole tensor is one row. */
  readonly rowElements?: number;
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
  const elements = tensor.inputs[0]?.length ?? 0;
  const row = tensor.rowElements ?? elements;
  const context: TensorContext = {
    parameters: tensor.parameters,
    counts: { row, tensor: elements, model: tensor.modelElements ?? elements },
  };
  const scalars = new Scalars(program, plan, context, tensor.statistics);
  const elementwise = new Elements(program, plan, tensor, row, precision, scalars);
  if (tensor.statistics === undefined) {
    plan.statistics.forEach((pass, index) => {
      scalars.finishPass(
        index,
        pass.gathers.map((gather) => elementwise.gather(gather)),
      );
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
  const elements = tensor.inputs[0]?.length ?? 0;
  const row = tensor.rowElements ?? elements;
  const counts = { row, tensor: elements, model: tensor.modelElements ?? elements };
  const scalars = new Scalars(program, plan, { parameters: tensor.parameters, counts }, known);
  const elementwise = new Elements(program, plan, tensor, row, "f32", scalars);
  return (plan.statistics[pass]?.gathers ?? []).map((gather) => elementwise.gather(gather));
}

class Elements {
  readonly #program: Program;
  readonly #schedule: Schedule;
  readonly #tensor: InterpretedTensor;
  readonly #elements: number;
  readonly #row: number;
  readonly #round: (x: number) => number;
  readonly #scalars: Scalars;

  constructor(
    program: Program,
    plan: Schedule,
    tensor: InterpretedTensor,
    row: number,
    precision: "f32" | "f64",
    scalars: Scalars,
  ) {
    this.#program = program;
    this.#schedule = plan;
    this.#tensor = tensor;
    this.#elements = tensor.inputs[0]?.length ?? 0;
    this.#row = row;
    this.#round = precision === "f32" ? Math.fround : (x) => x;
    this.#scalars = scalars;
  }

  /** A node's value for every element. */
  evaluate(target: NodeId): Float64Array {
    const result = new Float64Array(this.#elements);
    if (!this.#schedule.rowwise) return this.#segment(target, 0, this.#elements, 0);
    for (let begin = 0, row = 0; begin < this.#elements; begin += this.#row, row += 1) {
      this.#scalars.setRow(this.#rowResults(target, begin, row));
      result.set(this.#segment(target, begin, this.#row, row), begin);
    }
    return result;
  }

  gather(gather: Gather): Partial {
    const values = this.evaluate(argumentOf(this.#program, gather.node));
    switch (gather.kind) {
      case "sum": {
        const block = this.#schedule.rowwise ? this.#row : blockElements;
        const blocks: number[] = [];
        for (let at = 0; at < values.length; at += block) blocks.push(sumOf(values.subarray(at, at + block)));
        return { kind: "sum", blocks: Float64Array.from(blocks) };
      }
      case "largest":
        return { kind: "largest", value: largestOf(values) };
      case "upperBits": {
        const counts = new Float64Array(upperBins);
        for (const x of values) increment(counts, magnitudeBits(x) >>> 16);
        return { kind: "upperBits", counts };
      }
      case "lowerBits": {
        const counts = new Float64Array(lowerBins);
        const [bin] = this.#scalars.upperBitsOf(gather.node);
        for (const x of values) if (magnitudeBits(x) >>> 16 === bin) increment(counts, magnitudeBits(x) & 0xffff);
        return { kind: "lowerBits", counts };
      }
    }
  }

  #rowResults(target: NodeId, begin: number, row: number): ReadonlyMap<NodeId, number> {
    const results = new Map<NodeId, number>();
    for (const group of rowGroups(this.#program, [target])) {
      for (const id of group) {
        const values = this.#segment(argumentOf(this.#program, id), begin, this.#row, row);
        results.set(id, nodeAt(this.#program, id).op === "sum" ? sumOf(values) : largestOf(values));
      }
      this.#scalars.setRow(results);
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
      if (extents[id] !== "element") {
        values = new Float64Array(count).fill(this.#round(this.#scalars.values[id] ?? Number.NaN));
      } else if (node.op === "input") {
        values = Float64Array.from(this.#tensor.inputs[node.value]?.subarray(begin, begin + count) ?? []);
      } else if (node.op === "uniform") {
        const key = this.#tensor.keys?.[node.value] ?? [0, 0];
        const rowwise = this.#schedule.rowwise;
        values = new Float64Array(count).map((_, i) => uniformAt(key, rowwise ? i : begin + i, rowwise ? row : 0));
      } else {
        const [a, b, c] = node.args.map(visit);
        const operate = arithmetic[node.op] ?? (() => Number.NaN);
        values = new Float64Array(count).map((_, i) => this.#round(operate(a?.[i] ?? 0, b?.[i] ?? 0, c?.[i] ?? 0)));
      }
      done.set(id, values);
      return values;
    };
    return visit(target);
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
