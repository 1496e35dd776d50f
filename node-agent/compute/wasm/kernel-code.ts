import { type ComputableDtype, dtypeBytes } from "../../../shared/checkpoint/dtypes.js";
import { argumentOf, type Gather, isPrepared } from "../../../shared/expression/passes.js";
import { extentsOf, type NodeId, nodeAt, type Program, reachable } from "../../../shared/expression/program.js";
import { loadLanes, storeLanes } from "./dtype-lanes.js";
import { encodeModule, FunctionBody, type Local } from "./encoder.js";
import { type ControlLayout, layOut } from "./layout.js";
import { type Loop, parameterCount, parameters, pushSplat, type Reducer, type Vector, vectorLanes } from "./loop.js";
import { MaskWriter, pushWrittenMask } from "./mask-lanes.js";
import { Observer, observed } from "./observer.js";
import { pushOperator } from "./operators.js";
import { emitPhilox, pushUniform } from "./philox-lanes.js";
import { createReducer } from "./reducers.js";

/** What a kernel does with the elements it computes. */
export type KernelTask =
  /** Gather one statistics pass. */
  | ({ readonly kind: "gather"; readonly gathers: readonly Gather[]; readonly columnSums: readonly NodeId[] } & Masks)
  /** Reduce one row for each of these row reductions, which need no row value that is not set yet. */
  | { readonly kind: "rows"; readonly reductions: readonly NodeId[] }
  /** Write one node's elements in f32. */
  | { readonly kind: "evaluate"; readonly node: NodeId }
  /** Write the output, and take the statistics that a receipt carries. */
  | ({ readonly kind: "map"; readonly output: ComputableDtype } & Masks);

/** Masks that the first pass over a tensor writes down as bits and later ones read; see rememberedMasks(). */
export interface Masks {
  readonly masks?: { readonly nodes: readonly NodeId[]; readonly are: "written" | "read" };
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

/** What happens to the lanes of the targets: they are reduced, or written and observed. */
type Sink =
  | { readonly kind: "reduce"; readonly reducers: readonly Reducer[] }
  | {
      readonly kind: "write";
      readonly dtype: ComputableDtype;
      readonly pointer: Local;
      readonly observer: Observer | undefined;
    };

class KernelCompiler {
  readonly #program: Program;
  readonly #dtypes: readonly ComputableDtype[];
  readonly #targets: readonly NodeId[];
  readonly #loop: Loop;
  readonly #elementsPerIteration: number;
  readonly #sink: Sink;

  // Locals that live across iterations.
  readonly #pointers = new Map<number, Local>();
  readonly #prepared = new Map<NodeId, Local>();
  readonly #scalars = new Map<NodeId, Local>();
  readonly #keys = new Map<number, readonly [Local, Local]>();
  /** Where the bits of each mask are. */
  readonly #masks = new Map<NodeId, Local>();
  readonly #maskWriters = new Map<NodeId, MaskWriter>();
  readonly #counter: readonly [Local, Local, Local];

  constructor(program: Program, dtypes: readonly ComputableDtype[], task: KernelTask) {
    this.#program = program;
    this.#dtypes = dtypes;
    this.#targets = targetsOf(program, task);
    const extents = extentsOf(program.nodes);
    const isReady = isPrepared(program);
    const isScalar = (id: NodeId): boolean => extents[id] === "scalar" || extents[id] === "row";
    const masks = "masks" in task ? task.masks : undefined;
    const isRead = (id: NodeId): boolean => masks?.are === "read" && masks.nodes.includes(id);
    const isLeaf = (id: NodeId): boolean => isScalar(id) || isReady(id) || isRead(id);
    const needed = reachable(program, this.#targets, isLeaf);
    const elements = needed.filter((id) => !isLeaf(id)).map((id) => nodeAt(program, id));
    const streams = elements.filter(({ op }) => op === "uniform").map(({ value }) => value);
    const body = new FunctionBody(parameterCount);
    const layout = layOut({
      inputs: dtypes.length,
      gathers: task.kind === "gather" ? this.#targets.length : 0,
      preparedNodes: needed.filter(isReady),
      masks: masks?.nodes.length ?? 0,
      scalarNodes: needed.filter(isScalar),
      streams,
      results: resultsOf(task, dtypes.length, this.#targets.length),
    });
    this.#loop = { body, layout, index: body.local("i32") };
    // A map pass reports on every input, used by the expression or not.
    const used = elements.filter(({ op }) => op === "input").map(({ value }) => value);
    for (const input of task.kind === "map" ? dtypes.keys() : used) this.#pointers.set(input, body.local("i32"));
    for (const node of layout.preparedNodes) this.#prepared.set(node, body.local("i32"));
    for (const node of layout.scalarNodes) this.#scalars.set(node, body.local("v128"));
    for (const node of masks?.nodes ?? []) {
      const pointer = body.local("i32");
      this.#masks.set(node, pointer);
      if (masks?.are === "written") this.#maskWriters.set(node, new MaskWriter(this.#loop, pointer));
    }
    for (const stream of streams) this.#keys.set(stream, [body.local("v128"), body.local("v128")]);
    this.#counter = [body.local("v128"), body.local("v128"), body.local("v128")];
    this.#elementsPerIteration = streams.length > 0 ? 16 : 8;
    this.#sink = createSink(this.#loop, program, task, dtypes.length);
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
    if (this.#sink.kind === "write") this.#sink.observer?.finish();
    else for (const reducer of this.#sink.reducers) reducer.finish();
    return { module: encodeModule(body, parameterCount, maximumPages), layout };
  }

  /** Loads what stays the same for the whole run into locals. */
  #prepare(): void {
    const { body, layout } = this.#loop;
    for (const [input, pointer] of this.#pointers) {
      body
        .get(parameters.control)
        .load("i32.load", layout.inputs + 4 * input)
        .set(pointer);
    }
    [...this.#prepared.values()].forEach((pointer, i) => {
      body
        .get(parameters.control)
        .load("i32.load", layout.prepared + 4 * i)
        .set(pointer);
    });
    [...this.#masks.values()].forEach((pointer, i) => {
      body
        .get(parameters.control)
        .load("i32.load", layout.masks + 4 * i)
        .set(pointer);
    });
    if (this.#sink.kind === "write") {
      body.get(parameters.control).load("i32.load", layout.output).set(this.#sink.pointer);
    } else for (const reducer of this.#sink.reducers) reducer.prepare();
    [...this.#scalars.values()].forEach((scalar, i) => {
      pushSplat(this.#loop, layout.scalars + 4 * i);
      body.set(scalar);
    });
    [...this.#keys.values()].flat().forEach((word, i) => {
      pushSplat(this.#loop, layout.keys + 4 * i);
      body.set(word);
    });
    body.get(parameters.counter0).simd("i32x4.splat").v128([0, 1, 2, 3]).simd("i32x4.add").set(this.#counter[0]);
    body.get(parameters.counter1).simd("i32x4.splat").set(this.#counter[1]);
    body.get(parameters.counter2).simd("i32x4.splat").set(this.#counter[2]);
  }

  /** One trip through the loop. `exists` is a local for the mask of lanes that exist; undefined where all do. */
  #iteration(exists: Local | undefined): void {
    const { body } = this.#loop;
    const randomWords = new Map(
      [...this.#keys].map(([stream, key]) => [stream, emitPhilox(body, this.#counter, key)] as const),
    );
    let low: Local | undefined;
    for (let number = 0; number < this.#elementsPerIteration / vectorLanes; number += 1) {
      const vector = { number, exists };
      if (exists !== undefined) this.#markLanes(exists, number);
      const value = this.#evaluator(number, randomWords);
      low = this.#emit(value, vector, low);
    }
  }

  /** Hands one vector to the sink. Output is stored eight elements at a time: `low` is the first half of a pair. */
  #emit(value: (id: NodeId) => Local, vector: Vector, low: Local | undefined): Local | undefined {
    const sink = this.#sink;
    if (sink.kind === "reduce") {
      sink.reducers.forEach((reducer, place) => {
        reducer.add(value(this.#targets[place] ?? -1), vector);
      });
      for (const [node, writer] of this.#maskWriters) writer.add(value(node), vector);
      return undefined;
    }
    const result = value(this.#targets[0] ?? -1);
    const { observer } = sink;
    if (observer !== undefined) {
      observer.seeOutput(result, vector);
      this.#program.nodes.forEach(({ op, value: input }, id) => {
        if (op === "input") observer.seeInput(input, value(id), vector);
      });
    }
    if (low === undefined) return result;
    const offset = (vector.number - 1) * vectorLanes * dtypeBytes(sink.dtype);
    storeLanes(this.#loop.body, sink.dtype, sink.pointer, offset, low, result);
    return undefined;
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
    const add = (local: Local, amount: number): void => {
      body.get(local).i32(amount).op("i32.add").set(local);
    };
    add(index, step);
    for (const [input, pointer] of this.#pointers) add(pointer, step * dtypeBytes(this.#dtypes[input] ?? "F32"));
    for (const pointer of this.#prepared.values()) add(pointer, step * dtypeBytes("F32"));
    for (const pointer of this.#masks.values()) add(pointer, step / 8);
    if (this.#sink.kind === "write") add(this.#sink.pointer, step * dtypeBytes(this.#sink.dtype));
    const [counter] = this.#counter;
    const drawn = step / vectorLanes;
    if (this.#keys.size > 0) body.get(counter).splat(drawn).simd("i32x4.add").set(counter);
  }

  /** Gives, for one vector, the local that holds a node's lanes, computing it at first use. */
  #evaluator(vector: number, randomWords: ReadonlyMap<number, readonly Local[]>): (id: NodeId) => Local {
    const { body } = this.#loop;
    const done = new Map<NodeId, Local>();
    const value = (id: NodeId): Local => {
      const known = this.#scalars.get(id) ?? done.get(id);
      if (known !== undefined) return known;
      const node = nodeAt(this.#program, id);
      const local = body.local("v128");
      done.set(id, local);
      const prepared = this.#prepared.get(id);
      const written = this.#maskWriters.has(id) ? undefined : this.#masks.get(id);
      if (written !== undefined) pushWrittenMask(body, written, vector);
      else if (prepared !== undefined) loadLanes(body, "F32", prepared, vector * vectorLanes * dtypeBytes("F32"));
      else if (node.op === "input") {
        const dtype = this.#dtypes[node.value] ?? "F32";
        loadLanes(body, dtype, this.#pointers.get(node.value) ?? -1, vector * vectorLanes * dtypeBytes(dtype));
      } else if (node.op === "uniform") pushUniform(body, randomWords.get(node.value)?.[vector % 4] ?? -1);
      else pushOperator(body, this.#program, node, node.args.map(value));
      body.set(local);
      return local;
    };
    return value;
  }
}

function targetsOf(program: Program, task: KernelTask): readonly NodeId[] {
  if (task.kind === "map") return [program.output];
  if (task.kind === "evaluate") return [task.node];
  const reductions =
    task.kind === "rows" ? task.reductions : [...task.gathers.map(({ node }) => node), ...task.columnSums];
  return reductions.map((reduction) => argumentOf(program, reduction));
}

function resultsOf(task: KernelTask, inputs: number, targets: number): number {
  if (task.kind === "map") return observed.firstInput + inputs;
  return task.kind === "evaluate" ? 0 : targets;
}

function createSink(loop: Loop, program: Program, task: KernelTask, inputs: number): Sink {
  if (task.kind === "map") {
    const observer = new Observer(loop, task.output, inputs);
    return { kind: "write", dtype: task.output, pointer: loop.body.local("i32"), observer };
  }
  if (task.kind === "evaluate") {
    return { kind: "write", dtype: "F32", pointer: loop.body.local("i32"), observer: undefined };
  }
  const kinds =
    task.kind === "gather"
      ? [...task.gathers.map(({ kind }) => kind), ...task.columnSums.map(() => "columns" as const)]
      : task.reductions.map((id) => (nodeAt(program, id).op === "sum" ? "sum" : "largest"));
  return { kind: "reduce", reducers: kinds.map((kind, place) => createReducer(loop, kind, place)) };
}
