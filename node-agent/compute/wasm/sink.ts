import { type ComputableDtype, dtypeBytes } from "../../../shared/checkpoint/dtypes.js";
import { type NodeId, nodeAt, type Program } from "../../../shared/expression/program.js";
import { storeLanes } from "./dtype-lanes.js";
import type { FunctionBody, Local } from "./encoder.js";
import { type Loop, parameters, type Reducer, type Vector, vectorLanes } from "./loop.js";
import { MaskWriter, maskedElements } from "./mask-lanes.js";

/** Gives the local that holds a node's lanes for the vector at hand. */
export type Value = (id: NodeId) => Local;

/** What happens to the lanes of a kernel's targets: they are reduced, or written. */
export interface Sink {
  /** Emitted before the loop. */
  prepare(): void;
  /** Emitted for every vector, in order. */
  add(value: Value, vector: Vector): void;
  /** Emitted at the end of every iteration, of `step` elements. */
  advance(step: number): void;
  /** Emitted after the loop. */
  finish(): void;
}

export class ReducingSink implements Sink {
  readonly #targets: readonly NodeId[];
  readonly #reducers: readonly Reducer[];

  /** A reducer for each target. */
  constructor(targets: readonly NodeId[], reducers: readonly Reducer[]) {
    this.#targets = targets;
    this.#reducers = reducers;
  }

  prepare(): void {
    for (const reducer of this.#reducers) reducer.prepare();
  }

  add(value: Value, vector: Vector): void {
    this.#reducers.forEach((reducer, place) => {
      reducer.add(value(this.#targets[place] ?? -1), vector);
    });
  }

  advance(): void {}

  finish(): void {
    for (const reducer of this.#reducers) reducer.finish();
  }
}

/** Writes masks as bits, to where the control block says. */
export class MaskSink implements Sink {
  readonly #loop: Loop;
  readonly #pointers: readonly Local[];
  readonly #targets: readonly NodeId[];
  readonly #writers: readonly MaskWriter[];

  constructor(loop: Loop, targets: readonly NodeId[]) {
    this.#loop = loop;
    this.#targets = targets;
    this.#pointers = targets.map(() => loop.body.local("i32"));
    this.#writers = this.#pointers.map((pointer) => new MaskWriter(loop.body, pointer));
  }

  prepare(): void {
    this.#pointers.forEach((pointer, place) => {
      loadPointer(this.#loop, this.#loop.layout.masks + 4 * place, pointer);
    });
  }

  add(value: Value, vector: Vector): void {
    this.#writers.forEach((writer, place) => {
      writer.add(value(this.#targets[place] ?? -1), vector);
    });
  }

  advance(step: number): void {
    for (const pointer of this.#pointers) advancePointer(this.#loop.body, pointer, (step / maskedElements) * 2);
  }

  finish(): void {}
}

/** Sees what is written, and what it was computed from. */
export interface MapObserver {
  seeOutput(lanes: Local, vector: Vector): void;
  seeInput(input: number, lanes: Local, vector: Vector): void;
  finish(): void;
}

export interface Written {
  readonly dtype: ComputableDtype;
  /** What is stored for a NaN: see storeLanes(). */
  readonly nan: "canonical" | "any";
}

export class WritingSink implements Sink {
  readonly #loop: Loop;
  readonly #program: Program;
  readonly #target: NodeId;
  readonly #written: Written;
  readonly #observer: MapObserver | undefined;
  readonly #pointer: Local;
  /** Output is stored eight elements at a time: the first half of a pair. */
  #low: Local | undefined;

  constructor(loop: Loop, program: Program, target: NodeId, written: Written, observer?: MapObserver) {
    this.#loop = loop;
    this.#program = program;
    this.#target = target;
    this.#written = written;
    this.#observer = observer;
    this.#pointer = loop.body.local("i32");
  }

  prepare(): void {
    loadPointer(this.#loop, this.#loop.layout.output, this.#pointer);
  }

  add(value: Value, vector: Vector): void {
    const result = value(this.#target);
    if (this.#observer !== undefined) this.#observe(this.#observer, value, result, vector);
    if (this.#low === undefined) this.#low = result;
    else {
      const { dtype, nan } = this.#written;
      const offset = (vector.number - 1) * vectorLanes * dtypeBytes(dtype);
      storeLanes(this.#loop.body, dtype, this.#pointer, offset, this.#low, result, nan);
      this.#low = undefined;
    }
  }

  advance(step: number): void {
    advancePointer(this.#loop.body, this.#pointer, step * dtypeBytes(this.#written.dtype));
  }

  finish(): void {
    this.#observer?.finish();
  }

  #observe(observer: MapObserver, value: Value, result: Local, vector: Vector): void {
    observer.seeOutput(result, vector);
    this.#program.nodes.forEach((_, id) => {
      const { op, value: input } = nodeAt(this.#program, id);
      if (op === "input") observer.seeInput(input, value(id), vector);
    });
  }
}

export function loadPointer({ body }: Loop, offset: number, pointer: Local): void {
  body.get(parameters.control).load("i32.load", offset).set(pointer);
}

export function advancePointer(body: FunctionBody, pointer: Local, bytes: number): void {
  body.get(pointer).i32(bytes).op("i32.add").set(pointer);
}
