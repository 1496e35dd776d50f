import type { ComputableDtype } from "../../../shared/checkpoint/dtypes.js";
import { isMask, type NodeId, nodeAt, type Program } from "../../../shared/expression/program.js";
import type { RandomKey } from "../../../shared/expression/random.js";
import { addLanes } from "../../../shared/expression/statistics.js";
import { compileKernel, type KernelTask } from "./kernel-code.js";
import { type ControlLayout, resultBytes } from "./layout.js";
import type { TileMemory } from "./memory.js";
import { observed } from "./observer.js";
import { largestInRange } from "./range-observer.js";

/** What one run of a map kernel saw. */
export interface MapObservation {
  readonly nonFinite: number;
  readonly overflowed: number;
  readonly largest: number;
  readonly inputsNonFinite: readonly number[];
}

type Run = (control: number, count: number, counter0: number, counter1: number, counter2: number) => void;

/** What a kernel is made to do; how closely a map kernel looks at the elements is its own affair. */
export type Task = Exclude<KernelTask, { kind: "map" }> | Omit<Extract<KernelTask, { kind: "map" }>, "seen">;

/** A compiled phase, ready to run over tiles in one memory. */
export class Kernel {
  readonly #program: Program;
  readonly #dtypes: readonly ComputableDtype[];
  readonly #task: Task;
  readonly #memory: TileMemory;
  readonly #layout: ControlLayout;
  readonly #run: Run;
  /** Of a map kernel: the same, but it counts. Compiled when it is first needed, since most weights are finite. */
  #countingRun: Run | undefined;
  /** Of the output, in the last run; undefined if something was counted. */
  #largestInRange: number | undefined;
  readonly #masks: ReadonlySet<NodeId>;
  #control = 0;

  constructor(program: Program, dtypes: readonly ComputableDtype[], task: Task, memory: TileMemory) {
    this.#program = program;
    this.#dtypes = dtypes;
    this.#task = task;
    this.#memory = memory;
    const { layout, run } = this.#compile("ranges");
    this.#layout = layout;
    this.#run = run;
    this.#masks = new Set(layout.scalarNodes.filter((id) => isMask(nodeAt(program, id).op)));
  }

  /** Takes a control block from the memory. To be called after every reset of the memory, before anything is set. */
  attach(): void {
    this.#control = this.#memory.allocate(this.#layout.bytes, "a control block");
  }

  setPointers(inputs: readonly number[], output: number): void {
    const words = this.#words(this.#layout.inputs);
    words.set(inputs);
    words[(this.#layout.output - this.#layout.inputs) / 4] = output;
  }

  /** What a run reads besides inputs: {@link setPrepared} says where it is. */
  get preparedNodes(): readonly NodeId[] {
    return this.#layout.preparedNodes;
  }

  /** Where each prepared node's values begin, f32, or all ones where a mask holds; see isPrepared(). */
  setPrepared(addressOf: (node: NodeId) => number): void {
    this.#words(this.#layout.prepared).set(this.#layout.preparedNodes.map(addressOf));
  }

  /** The masks that a run reads, or writes: {@link setMasks} says where. */
  get maskNodes(): readonly NodeId[] {
    return this.#layout.maskNodes;
  }

  /** Where the bits of each mask are for the coming elements, or go; a multiple of 16 elements in. */
  setMasks(addressOf: (node: NodeId) => number): void {
    this.#words(this.#layout.masks).set(this.#layout.maskNodes.map(addressOf));
  }

  /** Where each counting gather's bins or column sum's accumulators are, gathers first; ignored for the others. */
  setHistograms(addresses: readonly number[]): void {
    this.#words(this.#layout.histograms).set(addresses);
  }

  /** The bin in which each gather of lower bits counts, by gather; −1 counts nothing. */
  setBins(bins: readonly number[]): void {
    // As the upper half of a key, which is what the kernel compares with.
    this.#words(this.#layout.bins).set(bins.map((bin) => bin << 16));
  }

  /** Scalar and row values by node id; those that elements meet are rounded to f32, or become a mask of all ones. */
  setScalars(values: Float64Array): void {
    const { scalarNodes } = this.#layout;
    const { buffer } = this.#memory.memory;
    const scalars = new DataView(buffer, this.#control + this.#layout.scalars, 4 * scalarNodes.length);
    scalarNodes.forEach((node, i) => {
      const value = values[node] ?? Number.NaN;
      if (this.#masks.has(node)) scalars.setInt32(4 * i, value === 0 ? 0 : -1, true);
      else scalars.setFloat32(4 * i, value, true);
    });
  }

  setKeys(keyOf: (stream: number) => RandomKey): void {
    const words = this.#words(this.#layout.keys);
    this.#layout.streams.forEach((stream, i) => {
      words.set(keyOf(stream), 2 * i);
    });
  }

  /**
   * Runs over `count` elements. `index` is the first element's place in the tensor, a multiple of 16; in a rowwise
   * program it is 0 and `row` says which row the elements are.
   */
  run(count: number, index: number, row = 0): void {
    const group = index / 4;
    const start = [(group % 0x1_0000_0000) | 0, Math.floor(group / 0x1_0000_0000), row] as const;
    this.#run(this.#control, count, ...start);
    if (this.#task.kind !== "map") return;
    const { buffer } = this.#memory.memory;
    this.#largestInRange = largestInRange(buffer, (place) => this.#resultAt(place), this.#task.output);
    if (this.#largestInRange !== undefined) return;
    this.#countingRun ??= this.#compile("counts").run;
    this.#countingRun(this.#control, count, ...start);
  }

  /** The sum that the reduction at this place found in the last run. */
  sum(place: number): number {
    const lanes = new Float64Array(this.#memory.memory.buffer, this.#resultAt(place), 4);
    const [l0 = 0, l1 = 0, l2 = 0, l3 = 0] = lanes;
    return addLanes(l0, l1, l2, l3);
  }

  largest(place: number): number {
    const lanes = new Float32Array(this.#memory.memory.buffer, this.#resultAt(place), 4);
    return lanes.reduce((largest, lane) => Math.max(largest, lane), -Infinity);
  }

  /** What the last run of a map kernel over `count` elements saw. */
  observation(count: number): MapObservation {
    if (this.#largestInRange !== undefined) {
      const inputsNonFinite = this.#dtypes.map(() => 0);
      return { nonFinite: 0, overflowed: 0, largest: this.#largestInRange, inputsNonFinite };
    }
    const canOverflow = this.#task.kind === "map" && this.#task.output !== "F32" && this.#task.output !== "F64";
    const finite = this.#counted(observed.finite);
    const held = canOverflow ? this.#counted(observed.representable) : finite;
    return {
      nonFinite: count - finite,
      overflowed: finite - held,
      largest: Math.max(0, this.largest(observed.largest)),
      inputsNonFinite: this.#dtypes.map((_, input) => count - this.#counted(observed.firstInput + input)),
    };
  }

  #compile(seen: "ranges" | "counts"): { layout: ControlLayout; run: Run } {
    const task = this.#task.kind === "map" ? { ...this.#task, seen } : this.#task;
    const { module, layout } = compileKernel(this.#program, this.#dtypes, task, this.#memory.maximumPages);
    const { memory } = this.#memory;
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module), { env: { memory } });
    return { layout, run: exports["run"] as Run };
  }

  #counted(place: number): number {
    const lanes = new Int32Array(this.#memory.memory.buffer, this.#resultAt(place), 4);
    return lanes.reduce((total, lane) => total + lane, 0);
  }

  #words(offset: number): Uint32Array {
    return new Uint32Array(this.#memory.memory.buffer, this.#control + offset);
  }

  #resultAt(place: number): number {
    return this.#control + this.#layout.results + place * resultBytes;
  }
}
