import { type ComputableDtype, dtypeBytes } from "../../../shared/checkpoint/dtypes.js";
import { argumentOf, type Gather } from "../../../shared/expression/passes.js";
import {
  type Extent,
  extentsOf,
  type NodeId,
  nodeAt,
  type Program,
  reachable,
} from "../../../shared/expression/program.js";
import { lowerBins } from "../../../shared/expression/statistics.js";
import { loadLanes, overflowBits, storeLanes } from "./dtype-lanes.js";
import { encodeModule, FunctionBody, type Local, type SimdInstruction } from "./encoder.js";
import { type ControlLayout, layOut, resultBytes, spareBins } from "./layout.js";
import { emitPhilox, pushUniform } from "./philox-lanes.js";

/** What a kernel does with the elements it computes. */
export type KernelTask =
  /** Gather one statistics pass. */
  | { readonly kind: "gather"; readonly gathers: readonly Gather[] }
  /** Reduce one row for each of these row reductions, which need no row value that is not set yet. */
  | { readonly kind: "rows"; readonly reductions: readonly NodeId[] }
  /** Write the output, and take the statistics that a receipt carries. */
  | { readonly kind: "map"; readonly output: ComputableDtype };

export interface KernelCode {
  readonly module: Uint8Array<ArrayBuffer>;
  readonly layout: ControlLayout;
}

/** Parameters of the exported `run`: the control block, how many elements, the random counter's first three words. */
const parameters = { control: 0, count: 1, counter0: 2, counter1: 3, counter2: 4 } as const;

const vectorLanes = 4;

/**
 * Compiles one phase of a program to one fused loop: elements are loaded as four f32 lanes, go through every operator
 * in registers, and are reduced or stored; nothing is written in between.
 */
export function compileKernel(
  program: Program,
  dtypes: readonly ComputableDtype[],
  task: KernelTask,
  maximumPages: number,
): KernelCode {
  return new KernelCompiler(program, dtypes, task).compile(maximumPages);
}

class KernelCompiler {
  readonly #program: Program;
  readonly #extents: readonly Extent[];
  readonly #dtypes: readonly ComputableDtype[];
  readonly #task: KernelTask;
  readonly #layout: ControlLayout;
  readonly #body = new FunctionBody(Object.keys(parameters).length);
  readonly #usedInputs: readonly number[];
  readonly #elementsPerIteration: number;

  // Locals that live across iterations.
  readonly #index = this.#body.local("i32");
  readonly #pointers = new Map<number, Local>();
  readonly #scalars = new Map<NodeId, Local>();
  readonly #bins = new Map<number, Local>();
  readonly #keys = new Map<number, readonly [Local, Local]>();
  readonly #counter: readonly [Local, Local, Local];
  readonly #accumulators: readonly Local[];
  #output: Local = -1;

  // Of the current iteration: the random words by stream, and the mask of lanes that exist (in the tail).
  #randomWords = new Map<number, readonly Local[]>();

  constructor(program: Program, dtypes: readonly ComputableDtype[], task: KernelTask) {
    this.#program = program;
    this.#extents = extentsOf(program.nodes);
    this.#dtypes = dtypes;
    this.#task = task;
    const isScalar = (id: NodeId): boolean => this.#extents[id] !== "element";
    const needed = reachable(program, this.#targets(), isScalar);
    const elementNodes = needed.filter((id) => !isScalar(id)).map((id) => nodeAt(program, id));
    const streams = elementNodes.filter((node) => node.op === "uniform").map((node) => node.value);
    // A map pass reports on every input, used by the expression or not.
    const used = elementNodes.filter((node) => node.op === "input").map((node) => node.value);
    this.#usedInputs = task.kind === "map" ? dtypes.map((_, model) => model) : used;
    this.#elementsPerIteration = streams.length > 0 ? 16 : 8;
    const results = task.kind === "map" ? 3 + dtypes.length : this.#targets().length;
    this.#layout = layOut({
      inputs: dtypes.length,
      gathers: task.kind === "gather" ? task.gathers.length : 0,
      scalarNodes: needed.filter(isScalar),
      streams,
      results,
    });
    this.#counter = [this.#body.local("v128"), this.#body.local("v128"), this.#body.local("v128")];
    this.#accumulators = Array.from({ length: 2 * results }, () => this.#body.local("v128"));
  }

  compile(maximumPages: number): KernelCode {
    this.#prepare();
    const body = this.#body;
    const main = body.local("i32");
    const step = this.#elementsPerIteration;
    body.get(parameters.count).i32(-step).op("i32.and").set(main);
    body.block(() => {
      body.loop(() => {
        body.get(this.#index).get(main).op("i32.ge_u").branchIf(1);
        this.#iteration(undefined);
        this.#advance();
        body.branch(0);
      });
    });
    body.get(this.#index).get(parameters.count).op("i32.lt_u");
    body.if(() => this.#iteration(body.local("v128")));
    this.#accumulators.forEach((accumulator, i) => {
      body
        .get(parameters.control)
        .get(accumulator)
        .store("v128.store", this.#layout.results + (resultBytes / 2) * i);
    });
    return { module: encodeModule(body, Object.keys(parameters).length, maximumPages), layout: this.#layout };
  }

  #targets(): readonly NodeId[] {
    switch (this.#task.kind) {
      case "gather":
        return this.#task.gathers.map((gather) => argumentOf(this.#program, gather.node));
      case "rows":
        return this.#task.reductions.map((id) => argumentOf(this.#program, id));
      case "map":
        return [this.#program.output];
    }
  }

  /** Loads what stays the same for the whole run into locals. */
  #prepare(): void {
    const body = this.#body;
    for (const input of this.#usedInputs) {
      const pointer = body.local("i32");
      body
        .get(parameters.control)
        .load("i32.load", this.#layout.inputs + 4 * input)
        .set(pointer);
      this.#pointers.set(input, pointer);
    }
    this.#output = body.local("i32");
    body.get(parameters.control).load("i32.load", this.#layout.output).set(this.#output);
    this.#layout.scalarNodes.forEach((node, i) => {
      const scalar = body.local("v128");
      body
        .get(parameters.control)
        .load("v128.load32_splat", this.#layout.scalars + 4 * i)
        .set(scalar);
      this.#scalars.set(node, scalar);
    });
    if (this.#task.kind === "gather") {
      this.#task.gathers.forEach((gather, place) => {
        if (gather.kind !== "lowerBits") return;
        const bin = body.local("v128");
        body
          .get(parameters.control)
          .load("v128.load32_splat", this.#layout.bins + 4 * place)
          .set(bin);
        this.#bins.set(place, bin);
      });
    }
    this.#layout.streams.forEach((stream, i) => {
      const key = [body.local("v128"), body.local("v128")] as const;
      body
        .get(parameters.control)
        .load("v128.load32_splat", this.#layout.keys + 8 * i)
        .set(key[0]);
      body
        .get(parameters.control)
        .load("v128.load32_splat", this.#layout.keys + 8 * i + 4)
        .set(key[1]);
      this.#keys.set(stream, key);
    });
    body.get(parameters.counter0).simd("i32x4.splat").v128([0, 1, 2, 3]).simd("i32x4.add").set(this.#counter[0]);
    body.get(parameters.counter1).simd("i32x4.splat").set(this.#counter[1]);
    body.get(parameters.counter2).simd("i32x4.splat").set(this.#counter[2]);
    for (const accumulator of this.#maximumAccumulators()) body.splat(0xff80_0000).set(accumulator);
  }

  /** Accumulators that hold a maximum of arbitrary numbers and so start at −∞. */
  #maximumAccumulators(): readonly Local[] {
    const task = this.#task;
    const isMaximum = (place: number): boolean => {
      if (task.kind === "gather") return task.gathers[place]?.kind === "largest";
      return task.kind === "rows" && nodeAt(this.#program, task.reductions[place] ?? -1).op === "largest";
    };
    return this.#accumulators.filter((_, i) => i % 2 === 0 && isMaximum(i / 2));
  }

  /** One trip through the loop. `tail` is a local for the mask of lanes that exist; undefined where all do. */
  #iteration(tail: Local | undefined): void {
    this.#randomWords = new Map();
    for (const [stream, key] of this.#keys) this.#randomWords.set(stream, emitPhilox(this.#body, this.#counter, key));
    let low: Local | undefined;
    for (let vector = 0; vector < this.#elementsPerIteration / vectorLanes; vector += 1) {
      if (tail !== undefined) this.#markLanes(tail, vector);
      const value = this.#evaluator(vector);
      if (this.#task.kind === "map") {
        const result = value(this.#program.output);
        this.#observe(result, value, tail);
        if (low === undefined) low = result;
        else {
          const offset = (vector - 1) * vectorLanes * dtypeBytes(this.#task.output);
          storeLanes(this.#body, this.#task.output, this.#output, offset, low, result);
          low = undefined;
        }
      } else this.#reduce(value, vector, tail);
    }
  }

  /** Sets `mask` to all ones in the lanes of this vector that are below the element count. */
  #markLanes(mask: Local, vector: number): void {
    const first = vector * vectorLanes;
    this.#body
      .get(this.#index)
      .simd("i32x4.splat")
      .v128([first, first + 1, first + 2, first + 3])
      .simd("i32x4.add");
    this.#body.get(parameters.count).simd("i32x4.splat").simd("i32x4.lt_s").set(mask);
  }

  #advance(): void {
    const body = this.#body;
    const step = this.#elementsPerIteration;
    body.get(this.#index).i32(step).op("i32.add").set(this.#index);
    for (const [input, pointer] of this.#pointers) {
      const dtype = this.#dtypes[input];
      if (dtype !== undefined)
        body
          .get(pointer)
          .i32(step * dtypeBytes(dtype))
          .op("i32.add")
          .set(pointer);
    }
    if (this.#task.kind === "map") {
      body
        .get(this.#output)
        .i32(step * dtypeBytes(this.#task.output))
        .op("i32.add")
        .set(this.#output);
    }
    if (this.#keys.size > 0) {
      body
        .get(this.#counter[0])
        .splat(step / vectorLanes)
        .simd("i32x4.add")
        .set(this.#counter[0]);
    }
  }

  /** Gives, for one vector of four elements, the local that holds a node's lanes, computing it at first use. */
  #evaluator(vector: number): (id: NodeId) => Local {
    const done = new Map<NodeId, Local>();
    const body = this.#body;
    const value = (id: NodeId): Local => {
      const known = this.#scalars.get(id) ?? done.get(id);
      if (known !== undefined) return known;
      const node = nodeAt(this.#program, id);
      const local = body.local("v128");
      done.set(id, local);
      if (node.op === "input") {
        const dtype = this.#dtypes[node.value] ?? "F32";
        loadLanes(body, dtype, this.#pointers.get(node.value) ?? -1, vector * vectorLanes * dtypeBytes(dtype));
      } else if (node.op === "uniform") {
        pushUniform(body, this.#randomWords.get(node.value)?.[vector % 4] ?? -1);
      } else this.#operate(node.op, node.args.map(value), node.args);
      body.set(local);
      return local;
    };
    return value;
  }

  /** Pushes the result of one operator on lanes. */
  #operate(op: string, args: readonly Local[], nodes: readonly NodeId[]): void {
    const body = this.#body;
    const [a = -1, b = -1, c = -1] = args;
    if (op === "select") {
      // A choice of zero, the commonest one, is a single AND.
      const isZero = (id: NodeId | undefined): boolean => {
        const node = id === undefined ? undefined : this.#program.nodes[id];
        return node?.op === "constant" && Object.is(node.value, 0);
      };
      if (isZero(nodes[2])) body.get(b).get(a).simd("v128.and");
      else if (isZero(nodes[1])) body.get(c).get(a).simd("v128.andnot");
      else body.get(b).get(c).get(a).simd("v128.bitselect");
      return;
    }
    if (op === "sign") {
      // ±1 with the argument's sign where it is not zero; NaN stays.
      body.get(a).splat(0x8000_0000).simd("v128.and").splat(0x3f80_0000).simd("v128.or");
      body.get(a).splat(0).simd("f32x4.ne").simd("v128.and");
      body.get(a).get(a).get(a).simd("f32x4.eq").simd("v128.bitselect");
      return;
    }
    const instruction = instructions[op];
    if (instruction === undefined) throw new TypeError(`Operator "${op}" cannot be compiled per element`);
    for (const arg of args) body.get(arg);
    body.simd(instruction);
  }

  /** Adds one vector to every reduction of the pass. */
  #reduce(value: (id: NodeId) => Local, vector: number, tail: Local | undefined): void {
    const task = this.#task;
    this.#targets().forEach((target, place) => {
      const lanes = value(target);
      const kind =
        task.kind === "gather" ? task.gathers[place]?.kind : nodeAt(this.#program, this.#rowReduction(place)).op;
      if (kind === "sum") this.#addToSum(place, lanes, tail);
      else if (kind === "largest") this.#addToLargest(place, lanes, tail);
      else if (kind === "upperBits") this.#countUpperBits(place, lanes, vector, tail);
      else this.#countLowerBits(place, lanes, vector, tail);
    });
  }

  #rowReduction(place: number): NodeId {
    return this.#task.kind === "rows" ? (this.#task.reductions[place] ?? -1) : -1;
  }

  /** Four f64 lanes in two accumulators, so that each lane adds its elements in order. */
  #addToSum(place: number, lanes: Local, tail: Local | undefined): void {
    const body = this.#body;
    const [first = -1, second = -1] = this.#accumulators.slice(2 * place, 2 * place + 2);
    const masked = this.#masked(lanes, tail);
    body.get(first).get(masked).simd("f64x2.promote_low_f32x4").simd("f64x2.add").set(first);
    body.get(second).get(masked).get(masked).shuffle([8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15]);
    body.simd("f64x2.promote_low_f32x4").simd("f64x2.add").set(second);
  }

  #addToLargest(place: number, lanes: Local, tail: Local | undefined): void {
    const body = this.#body;
    const accumulator = this.#accumulators[2 * place] ?? -1;
    body.get(accumulator);
    if (tail === undefined) body.get(lanes);
    else body.get(lanes).splat(0xff80_0000).get(tail).simd("v128.bitselect");
    body.simd("f32x4.max").set(accumulator);
  }

  #countUpperBits(place: number, lanes: Local, vector: number, tail: Local | undefined): void {
    const bins = this.#body.local("v128");
    // (bits >> 16) · 4 bytes per bin, with the sign cut off.
    this.#body.get(lanes).i32(14).simd("i32x4.shr_u").splat(0x1_fffc).simd("v128.and").set(bins);
    for (let lane = 0; lane < vectorLanes; lane += 1) {
      this.#ifLaneExists(vector, lane, tail, () => this.#increment(place, bins, lane));
    }
  }

  /**
   * Lanes that lie elsewhere are counted in spare bins behind the others, which nobody reads: a branch would be
   * mispredicted too often, since many task vectors have few distinct magnitudes, and a single spare bin would make each
   * count wait for the one before.
   */
  #countLowerBits(place: number, lanes: Local, vector: number, tail: Local | undefined): void {
    const body = this.#body;
    const bins = body.local("v128");
    const spare = 4 * lowerBins;
    body.get(lanes).splat(0xffff).simd("v128.and").i32(2).simd("i32x4.shl");
    body
      .get(lanes)
      .i32(14)
      .simd("i32x4.shr_u")
      .splat(4 * (spareBins - 1))
      .simd("v128.and");
    body.splat(spare).simd("v128.or");
    body
      .get(lanes)
      .splat(0x7fff_0000)
      .simd("v128.and")
      .get(this.#bins.get(place) ?? -1)
      .simd("i32x4.eq");
    body.simd("v128.bitselect").set(bins);
    for (let lane = 0; lane < vectorLanes; lane += 1) {
      this.#ifLaneExists(vector, lane, tail, () => this.#increment(place, bins, lane));
    }
  }

  /** Adds one to the bin whose byte offset is in a lane. */
  #increment(place: number, bins: Local, lane: number): void {
    const body = this.#body;
    const address = body.local("i32");
    body
      .get(parameters.control)
      .load("i32.load", this.#layout.histograms + 4 * place)
      .get(bins)
      .extractLane(lane)
      .op("i32.add")
      .tee(address);
    body.get(address).load("i32.load", 0).i32(1).op("i32.add").store("i32.store", 0);
  }

  #ifLaneExists(vector: number, lane: number, tail: Local | undefined, then: () => void): void {
    if (tail === undefined) then();
    else {
      this.#body
        .get(this.#index)
        .i32(vector * vectorLanes + lane)
        .op("i32.add");
      this.#body.get(parameters.count).op("i32.lt_u").if(then);
    }
  }

  /**
   * What a receipt says of the output and of the inputs: finite elements are counted (so that NaN and ∞ follow),
   * elements the output dtype can hold likewise, and the largest magnitude is kept.
   */
  #observe(result: Local, value: (id: NodeId) => Local, tail: Local | undefined): void {
    if (this.#task.kind !== "map") return;
    const body = this.#body;
    const magnitude = body.local("v128");
    const count = (place: number, lanes: Local, limit: number): void => {
      const accumulator = this.#accumulators[2 * place] ?? -1;
      body.get(accumulator).get(lanes).simd("f32x4.abs").splat(limit).simd("f32x4.lt");
      if (tail !== undefined) body.get(tail).simd("v128.and");
      body.simd("i32x4.sub").set(accumulator);
    };
    const infinity = 0x7f80_0000;
    const limit = overflowBits[this.#task.output];
    count(0, result, infinity);
    if (limit !== infinity) count(1, result, limit);
    body.get(this.#masked(result, tail)).simd("f32x4.abs").set(magnitude);
    const largest = this.#accumulators[4] ?? -1;
    body.get(largest).get(magnitude).simd("f32x4.pmax").set(largest);
    this.#program.nodes.forEach((node, id) => {
      if (node.op === "input") count(3 + node.value, value(id), infinity);
    });
  }

  /** The lanes with those beyond the element count set to zero. */
  #masked(lanes: Local, tail: Local | undefined): Local {
    if (tail === undefined) return lanes;
    const masked = this.#body.local("v128");
    this.#body.get(lanes).get(tail).simd("v128.and").set(masked);
    return masked;
  }
}

/** Operators that are one SIMD instruction. */
const instructions: Readonly<Record<string, SimdInstruction>> = {
  negate: "f32x4.neg",
  abs: "f32x4.abs",
  sqrt: "f32x4.sqrt",
  floor: "f32x4.floor",
  add: "f32x4.add",
  subtract: "f32x4.sub",
  multiply: "f32x4.mul",
  divide: "f32x4.div",
  min: "f32x4.min",
  max: "f32x4.max",
  less: "f32x4.lt",
  lessOrEqual: "f32x4.le",
  equal: "f32x4.eq",
  and: "v128.and",
  or: "v128.or",
};
