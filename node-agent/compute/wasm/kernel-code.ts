import { type ComputableDtype, dtypeBytes } from "../../../shared/checkpoint/dtypes.js";
import { argumentOf, type Gather, isPrepared } from "../../../shared/expression/passes.js";
import {
  extentsOf,
  type Node,
  type NodeId,
  nodeAt,
  type Program,
  reachable,
} from "../../../shared/expression/program.js";
import { loadLanes } from "./dtype-lanes.js";
import { encodeModule, FunctionBody, type Local } from "./encoder.js";
import { InputLanes } from "./input-lanes.js";
import { type ControlLayout, layOut } from "./layout.js";
import { type Loop, parameterCount, parameters, pushSplat, type Vector, vectorLanes } from "./loop.js";
import { MaskReader, maskedElements } from "./mask-lanes.js";
import { Observer, observed } from "./observer.js";
import { pushOperator } from "./operators.js";
import { RandomLanes } from "./random-lanes.js";
import { RangeObserver } from "./range-observer.js";
import { createReducer } from "./reducers.js";
import { advancePointer, loadPointer, MaskSink, ReducingSink, type Sink, type Value, WritingSink } from "./sink.js";

/** What a kernel does with the elements it computes. */
export type KernelTask =
  /** Gather one statistics pass. */
  | ({ readonly kind: "gather"; readonly gathers: readonly Gather[]; readonly columnSums: readonly NodeId[] } & Masks)
  /** Reduce one row for each of these row reductions, which need no row value that is not set yet. */
  | { readonly kind: "rows"; readonly reductions: readonly NodeId[] }
  /** Write one node's elements in f32. */
  | { readonly kind: "evaluate"; readonly node: NodeId }
  /** Write these masks as bits. */
  | { readonly kind: "draw"; readonly nodes: readonly NodeId[] }
  /**
   * Write the output, and take the statistics that a receipt carries: by counting all that is not finite, or by finding
   * out whether there is anything to count, without which nothing need be done for NaN either.
   */
  | ({ readonly kind: "map"; readonly output: ComputableDtype; readonly seen: "counts" | "ranges" } & Masks);

/** Masks that a kernel need not draw, because their bits are in memory; see rememberedMasks(). */
export interface Masks {
  readonly masks?: readonly NodeId[];
}

export interface KernelCode {
  readonly module: Uint8Array<ArrayBuffer>;
  readonly layout: ControlLayout;
}

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
  readonly #loop: Loop;
  readonly #elementsPerIteration: number;
  readonly #sink: Sink;

  // What has locals that live across iterations.
  readonly #inputs: InputLanes;
  readonly #prepared = new Map<NodeId, Local>();
  readonly #scalars = new Map<NodeId, Local>();
  readonly #random: RandomLanes;
  /** Where the bits of masks that are read are. */
  readonly #maskPointers = new Map<NodeId, Local>();
  readonly #masks = new Map<NodeId, MaskReader>();

  constructor(program: Program, dtypes: readonly ComputableDtype[], task: KernelTask) {
    this.#program = program;
    const targets = targetsOf(program, task);
    const extents = extentsOf(program.nodes);
    const isReady = isPrepared(program);
    const isScalar = (id: NodeId): boolean => extents[id] === "scalar" || extents[id] === "row";
    const isRead = (id: NodeId): boolean => "masks" in task && task.masks?.includes(id) === true;
    const isLeaf = (id: NodeId): boolean => isScalar(id) || isReady(id) || isRead(id);
    const needed = reachable(program, targets, isLeaf);
    const elements = needed.filter((id) => !isLeaf(id)).map((id) => nodeAt(program, id));
    const streams = [...new Set(elements.filter(({ op }) => op === "uniform").map(({ value }) => value))];
    const read = needed.filter(isRead);
    const body = new FunctionBody(parameterCount);
    const layout = layOut({
      inputs: dtypes.length,
      gathers: task.kind === "gather" ? targets.length : 0,
      preparedNodes: needed.filter(isReady),
      maskNodes: task.kind === "draw" ? task.nodes : read,
      scalarNodes: needed.filter(isScalar),
      streams,
      results: resultsOf(task, dtypes.length, targets.length),
    });
    this.#loop = { body, layout, index: body.local("i32") };
    // A map pass reports on every input, used by the expression or not.
    const used = elements.filter(({ op }) => op === "input").map(({ value }) => value);
    this.#inputs = new InputLanes(body, dtypes, task.kind === "map" ? dtypes.keys() : used);
    for (const node of layout.preparedNodes) this.#prepared.set(node, body.local("i32"));
    for (const node of layout.scalarNodes) this.#scalars.set(node, body.local("v128"));
    for (const node of read) {
      const pointer = body.local("i32");
      this.#maskPointers.set(node, pointer);
      this.#masks.set(node, new MaskReader(body, pointer));
    }
    this.#random = new RandomLanes(this.#loop, this.#scalars);
    this.#elementsPerIteration = elementsPerIteration(streams.length, read.length);
    this.#sink = createSink(this.#loop, program, task, targets, this.#inputs);
  }

  compile(maximumPages: number): KernelCode {
    const { body, layout, index } = this.#loop;
    const main = body.local("i32");
    this.#prepare();
    body.get(parameters.count).i32(-this.#elementsPerIteration).op("i32.and").set(main);
    body.block(() => {
      body.loop(() => {
        body.get(index).get(main).op("i32.ge_u").branchIf(1);
        this.#iteration(undefined);
        this.#advance();
        body.branch(0);
      });
    });
    body.get(index).get(parameters.count).op("i32.lt_u");
    body.if(() => this.#iteration(body.local("v128")));
    this.#sink.finish();
    return { module: encodeModule(body, parameterCount, maximumPages), layout };
  }

  /** Loads what stays the same for the whole run into locals. */
  #prepare(): void {
    const { body, layout } = this.#loop;
    for (const [input, pointer] of this.#inputs.pointers) loadPointer(this.#loop, layout.inputs + 4 * input, pointer);
    [...this.#prepared.values()].forEach((pointer, i) => {
      loadPointer(this.#loop, layout.prepared + 4 * i, pointer);
    });
    [...this.#maskPointers.values()].forEach((pointer, i) => {
      loadPointer(this.#loop, layout.masks + 4 * i, pointer);
    });
    this.#sink.prepare();
    [...this.#scalars.values()].forEach((scalar, i) => {
      pushSplat(this.#loop, layout.scalars + 4 * i);
      body.set(scalar);
    });
    this.#random.prepare();
  }

  /** One trip through the loop. `exists` is a local for the mask of lanes that exist; undefined where all do. */
  #iteration(exists: Local | undefined): void {
    this.#inputs.begin();
    this.#random.draw(this.#elementsPerIteration);
    for (let number = 0; number < this.#elementsPerIteration / vectorLanes; number += 1) {
      const vector = { number, exists };
      if (exists !== undefined) this.#markLanes(exists, number);
      this.#sink.add(this.#evaluator(vector), vector);
    }
  }

  /** Sets `mask` to all ones in the lanes of a vector that are below the element count. */
  #markLanes(mask: Local, vector: number): void {
    const { body, index } = this.#loop;
    const first = vector * vectorLanes;
    body
      .get(index)
      .simd("i32x4.splat")
      .v128([first, first + 1, first + 2, first + 3])
      .simd("i32x4.add");
    body.get(parameters.count).simd("i32x4.splat").simd("i32x4.lt_s").set(mask);
  }

  #advance(): void {
    const { body, index } = this.#loop;
    const step = this.#elementsPerIteration;
    advancePointer(body, index, step);
    this.#inputs.advance(step);
    for (const pointer of this.#prepared.values()) advancePointer(body, pointer, step * dtypeBytes("F32"));
    for (const pointer of this.#maskPointers.values()) advancePointer(body, pointer, step / 8);
    this.#sink.advance(step);
    this.#random.advance(step);
  }

  /** Gives, for one vector, the local that holds a node's lanes, computing it at first use. */
  #evaluator(vector: Vector): Value {
    const { body } = this.#loop;
    const done = new Map<NodeId, Local>();
    const value = (id: NodeId): Local => {
      const known = this.#scalars.get(id) ?? done.get(id);
      if (known !== undefined) return known;
      const local = body.local("v128");
      done.set(id, local);
      this.#push(id, vector, value);
      body.set(local);
      return local;
    };
    return value;
  }

  #push(id: NodeId, vector: Vector, value: Value): void {
    const { body } = this.#loop;
    const node = nodeAt(this.#program, id);
    const mask = this.#masks.get(id);
    const prepared = this.#prepared.get(id);
    if (mask !== undefined) mask.push(vector.number);
    else if (prepared !== undefined) loadLanes(body, "F32", prepared, vector.number * vectorLanes * dtypeBytes("F32"));
    else if (node.op === "input") this.#inputs.push(node.value, vector);
    else if (node.op === "uniform") this.#random.push(node.value, vector);
    else if (!this.#pushDrawnBelow(node, vector)) pushOperator(body, this.#program, node, node.args.map(value));
  }

  /** Pushes a comparison of random numbers with a scalar, if that is what the node is. */
  #pushDrawnBelow({ op, args }: Node, vector: Vector): boolean {
    const [drawn = -1, limit = -1] = args;
    if (op !== "less" || !this.#scalars.has(limit)) return false;
    const { op: compared, value: stream } = nodeAt(this.#program, drawn);
    if (compared !== "uniform") return false;
    this.#random.pushIsBelow(stream, limit, vector);
    return true;
  }
}

/**
 * Random numbers are drawn by 16, and a single stream's by twice as many: each is a long chain, which waits for itself.
 * Never more than `tileSlack`.
 */
function elementsPerIteration(streams: number, masks: number): number {
  if (streams === 1) return 2 * maskedElements;
  return streams > 1 || masks > 0 ? maskedElements : 2 * vectorLanes;
}

function targetsOf(program: Program, task: KernelTask): readonly NodeId[] {
  if (task.kind === "map") return [program.output];
  if (task.kind === "evaluate") return [task.node];
  if (task.kind === "draw") return task.nodes;
  const reductions =
    task.kind === "rows" ? task.reductions : [...task.gathers.map(({ node }) => node), ...task.columnSums];
  return reductions.map((reduction) => argumentOf(program, reduction));
}

function resultsOf(task: KernelTask, inputs: number, targets: number): number {
  if (task.kind === "map") return observed.firstInput + inputs;
  return task.kind === "evaluate" || task.kind === "draw" ? 0 : targets;
}

function createSink(
  loop: Loop,
  program: Program,
  task: KernelTask,
  targets: readonly NodeId[],
  inputs: InputLanes,
): Sink {
  switch (task.kind) {
    case "map": {
      const isCounted = task.seen === "counts";
      const observer = isCounted
        ? new Observer(loop, task.output, inputs.pointers.size)
        : new RangeObserver(loop, inputs);
      const written = { dtype: task.output, nan: isCounted ? "canonical" : "any" } as const;
      return new WritingSink(loop, program, program.output, written, observer);
    }
    case "evaluate":
      return new WritingSink(loop, program, task.node, { dtype: "F32", nan: "canonical" });
    case "draw":
      return new MaskSink(loop, targets);
    case "rows": {
      const kinds = task.reductions.map((id) => (nodeAt(program, id).op === "sum" ? "sum" : "largest"));
      const reducers = kinds.map((kind, place) => createReducer(loop, kind, place));
      return new ReducingSink(targets, reducers);
    }
    case "gather": {
      const kinds = [...task.gathers.map(({ kind }) => kind), ...task.columnSums.map(() => "columns" as const)];
      const reducers = kinds.map((kind, place) => createReducer(loop, kind, place));
      return new ReducingSink(targets, reducers);
    }
  }
}
