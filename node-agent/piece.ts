import { crc32 } from "node:zlib";
import { type ComputableDtype, type Dtype, dtypeBits, dtypeBytes, isComputable } from "../shared/checkpoint/dtypes.js";
import { AmalgamError } from "../shared/errors.js";
import { type Gather, rowGroups, type Schedule, schedule, targetsOf } from "../shared/expression/passes.js";
import { type NodeId, nodeAt, type Program } from "../shared/expression/program.js";
import { randomKey } from "../shared/expression/random.js";
import { Scalars } from "../shared/expression/scalars.js";
import { blockElements, lowerBins, type Partial, upperBins } from "../shared/expression/statistics.js";
import { tileBytes, tileElements, tileSlack } from "../shared/expression/tiles.js";
import { quote } from "../shared/quote.js";
import { Kernel, type MapObservation } from "./compute/wasm/kernel.js";
import type { KernelTask } from "./compute/wasm/kernel-code.js";
import { spareBins } from "./compute/wasm/layout.js";
import type { TileMemory } from "./compute/wasm/memory.js";

/** A piece of an output tensor, decoded from the wire. */
export interface PieceTask {
  readonly tensor: string;
  readonly program: Program;
  readonly shape: readonly number[];
  /** Elements [begin, end) of the tensor. */
  readonly begin: number;
  readonly end: number;
  readonly inputs: readonly { readonly file: number; readonly offset: number; readonly dtype: Dtype }[];
  readonly parameters: readonly number[];
  readonly statistics: readonly number[];
  readonly modelElements: number;
  readonly outputDtype: Dtype;
  readonly seed: number;
}

/** What a piece needs of the world: bytes in, bytes out, and a place to say that it is getting on. */
export interface PieceEnvironment {
  readonly memory: TileMemory;
  /** Kernels compiled so far by this worker, by what they are compiled from. */
  readonly kernels: Map<string, Kernel>;
  read(file: number, into: Uint8Array, position: number): void;
  /** Called after every tile; throws when the task was canceled. */
  progress(bytesRead: number, bytesWritten: number): void;
}

export interface MappedPiece extends MapObservation {
  readonly bytes: number;
  readonly crc32: number;
}

/** Runs the passes of one piece over its elements, tile by tile. */
export class PieceRun {
  readonly #task: PieceTask;
  readonly #environment: PieceEnvironment;
  readonly #schedule: Schedule;
  readonly #scalars: Scalars;
  readonly #row: number;
  readonly #programKey: string;

  constructor(task: PieceTask, environment: PieceEnvironment) {
    this.#task = task;
    this.#environment = environment;
    this.#schedule = schedule(task.program);
    const elements = task.shape.reduce((product, dimension) => product * dimension, 1);
    this.#row = Math.max(1, task.shape.at(-1) ?? 1);
    const counts = { row: this.#row, tensor: elements, model: task.modelElements };
    const { parameters, statistics } = task;
    this.#scalars = new Scalars(
      task.program,
      this.#schedule,
      { parameters, counts },
      statistics.length > 0 ? statistics : undefined,
    );
    this.#programKey = keyOf(task.program);
  }

  /** Gathers all statistics passes, for a piece that is a whole tensor and needs nothing from other tensors. */
  gatherAll(): void {
    this.#schedule.statistics.forEach((_, pass) => {
      this.#scalars.finishPass(pass, this.gather(pass));
    });
  }

  /** Gathers one statistics pass: one partial per gather. */
  gather(pass: number): Partial[] {
    const statisticsPass = this.#schedule.statistics[pass];
    if (statisticsPass === undefined) throw new AmalgamError("internal", `Program has no statistics pass ${pass}`);
    const { gathers } = statisticsPass;
    const { memory } = this.#environment;
    memory.reset();
    const histograms = gathers.map((gather) => {
      const bytes = 4 * (binsOf(gather.kind) + spareBins);
      const address = memory.allocate(bytes, "the counts of a k-th magnitude");
      memory.bytes(address, bytes).fill(0);
      return address;
    });
    const kernel = this.#kernel({ kind: "gather", gathers }, `gather ${pass}`);
    const sums: number[][] = gathers.map(() => []);
    const largest = gathers.map(() => -Infinity);
    this.#tiles(kernel, targetsOf(this.#task.program, statisticsPass), undefined, (count, index, row) => {
      kernel.setHistograms(histograms);
      kernel.setBins(
        gathers.map((gather) => (gather.kind === "lowerBits" ? this.#scalars.upperBitsOf(gather.node)[0] : 0)),
      );
      kernel.run(count, index, row);
      gathers.forEach((gather, place) => {
        if (gather.kind === "sum") sums[place]?.push(kernel.sum(place));
        if (gather.kind === "largest") largest[place] = Math.max(largest[place] ?? -Infinity, kernel.largest(place));
      });
    });
    return gathers.map((gather, place): Partial => {
      if (gather.kind === "sum") return { kind: "sum", blocks: Float64Array.from(sums[place] ?? []) };
      if (gather.kind === "largest") return { kind: "largest", value: largest[place] ?? -Infinity };
      const bins = binsOf(gather.kind);
      const counts = new Uint32Array(memory.memory.buffer, histograms[place] ?? 0, bins);
      return { kind: gather.kind, counts: Float64Array.from(counts) };
    });
  }

  /** Computes the output, once all statistics are known. `write` gets its bytes in order, as views it must not keep. */
  map(write: (bytes: Uint8Array, offset: number) => void): MappedPiece {
    const { outputDtype, program } = this.#task;
    const output = nodeAt(program, program.output);
    const isCopy = output.op === "input" && this.#task.inputs[output.value]?.dtype === outputDtype;
    if (isCopy && !isComputable(outputDtype)) return this.#copy(output.value, write);
    if (!isComputable(outputDtype)) {
      throw new AmalgamError(
        "internal",
        `Tensor ${quote(this.#task.tensor)} has dtype ${outputDtype}, which only copies`,
      );
    }
    const { memory } = this.#environment;
    memory.reset();
    const kernel = this.#kernel({ kind: "map", output: outputDtype }, `map ${outputDtype}`);
    const total = {
      bytes: 0,
      crc32: 0,
      nonFinite: 0,
      overflowed: 0,
      largest: 0,
      inputsNonFinite: this.#task.inputs.map(() => 0),
    };
    const observe = (count: number): void => {
      const seen = kernel.observation(count);
      total.nonFinite += seen.nonFinite;
      total.overflowed += seen.overflowed;
      total.largest = Math.max(total.largest, seen.largest);
      seen.inputsNonFinite.forEach((nonFinite, i) => {
        total.inputsNonFinite[i] = (total.inputsNonFinite[i] ?? 0) + nonFinite;
      });
    };
    const emit = (bytes: Uint8Array): void => {
      total.crc32 = crc32(bytes, total.crc32);
      write(bytes, total.bytes);
      total.bytes += bytes.length;
    };
    this.#tiles(
      kernel,
      [program.output],
      { dtype: outputDtype, emit, ...(isCopy ? { copyOf: output.value } : {}) },
      (count, index, row) => {
        kernel.run(count, index, row);
        observe(count);
      },
    );
    return total;
  }

  /** Bytes that nobody computes on. */
  #copy(input: number, write: (bytes: Uint8Array, offset: number) => void): MappedPiece {
    const { begin, end, inputs } = this.#task;
    const source = inputs[input];
    if (source === undefined) throw new AmalgamError("internal", `Piece has no input ${input}`);
    const { memory } = this.#environment;
    memory.reset();
    const first = (begin * dtypeBits(source.dtype)) / 8;
    const length = ((end - begin) * dtypeBits(source.dtype)) / 8;
    const address = memory.allocate(Math.min(length, tileBytes), "one tile of a copied tensor");
    let crc = 0;
    for (let at = 0; at < length; at += tileBytes) {
      const bytes = memory.bytes(address, Math.min(tileBytes, length - at));
      this.#environment.read(source.file, bytes, source.offset + first + at);
      crc = crc32(bytes, crc);
      write(bytes, at);
      this.#environment.progress(bytes.length, bytes.length);
    }
    const none = { nonFinite: 0, overflowed: 0, largest: 0, inputsNonFinite: inputs.map(() => 0) };
    return { bytes: length, crc32: crc, ...none };
  }

  /**
   * Reads the piece tile by tile and calls `run` for every block in a tile, or in rowwise programs for every row, with
   * pointers, scalars and keys set. After each tile its output, if any, is emitted.
   */
  #tiles(
    kernel: Kernel,
    targets: readonly NodeId[],
    output: { dtype: ComputableDtype; emit: (bytes: Uint8Array) => void; copyOf?: number } | undefined,
    run: (count: number, index: number, row: number) => void,
  ): void {
    const { begin, end, inputs } = this.#task;
    const { memory, read, progress } = this.#environment;
    const dtypes = this.#dtypes();
    const { rowwise } = this.#schedule;
    const block = rowwise ? this.#row : blockElements;
    const outputBytes = output === undefined ? 0 : dtypeBytes(output.dtype);
    const elementBytes = dtypes.reduce((bytes, dtype) => bytes + dtypeBytes(dtype), outputBytes);
    const tile = Math.min(end - begin, tileElements(elementBytes, this.#row, this.#schedule));
    const what = `a tile of ${tile} elements of ${inputs.length} models for ${quote(this.#task.tensor)}`;
    const addresses = dtypes.map((dtype) => memory.allocate((tile + tileSlack) * dtypeBytes(dtype), what));
    const outputAddress = output === undefined ? 0 : memory.allocate((tile + tileSlack) * outputBytes, what);
    kernel.setKeys((stream) => randomKey(this.#task.seed, this.#task.tensor, stream));
    kernel.setScalars(this.#scalars.values);
    const rows = rowwise ? this.#rowKernels(targets) : [];

    for (let at = begin; at < end; at += tile) {
      const count = Math.min(tile, end - at);
      let bytesRead = 0;
      inputs.forEach((input, i) => {
        const width = dtypeBytes(dtypes[i] ?? "F32");
        read(input.file, memory.bytes(addresses[i] ?? 0, count * width), input.offset + at * width);
        bytesRead += count * width;
      });
      for (let inTile = 0; inTile < count; inTile += block) {
        const elements = Math.min(block, count - inTile);
        const pointers = addresses.map((address, i) => address + inTile * dtypeBytes(dtypes[i] ?? "F32"));
        const index = at + inTile;
        const row = rowwise ? Math.floor(index / this.#row) : 0;
        if (rows.length > 0) {
          this.#setRow(rows, pointers, elements, row);
          kernel.setScalars(this.#scalars.values);
        }
        kernel.setPointers(pointers, outputAddress + inTile * outputBytes);
        run(elements, rowwise ? 0 : index, row);
      }
      if (output !== undefined) {
        const from = output.copyOf === undefined ? outputAddress : (addresses[output.copyOf] ?? 0);
        output.emit(memory.bytes(from, count * outputBytes));
      }
      progress(bytesRead, output === undefined ? 0 : count * outputBytes);
    }
  }

  #rowKernels(targets: readonly NodeId[]): { kernel: Kernel; group: readonly NodeId[] }[] {
    return rowGroups(this.#task.program, targets).map((group) => {
      const kernel = this.#kernel({ kind: "rows", reductions: group }, `rows ${group.join()}`);
      kernel.setKeys((stream) => randomKey(this.#task.seed, this.#task.tensor, stream));
      return { kernel, group };
    });
  }

  #setRow(
    rows: readonly { kernel: Kernel; group: readonly NodeId[] }[],
    pointers: readonly number[],
    elements: number,
    row: number,
  ): void {
    const results = new Map<NodeId, number>();
    for (const { kernel, group } of rows) {
      kernel.setScalars(this.#scalars.values);
      kernel.setPointers(pointers, 0);
      kernel.run(elements, 0, row);
      group.forEach((id, place) => {
        results.set(id, nodeAt(this.#task.program, id).op === "sum" ? kernel.sum(place) : kernel.largest(place));
      });
      this.#scalars.setRow(results);
    }
  }

  #kernel(task: KernelTask, name: string): Kernel {
    const dtypes = this.#dtypes();
    const key = `${this.#programKey} ${dtypes.join()} ${name}`;
    let kernel = this.#environment.kernels.get(key);
    if (kernel === undefined) {
      kernel = new Kernel(this.#task.program, dtypes, task, this.#environment.memory);
      this.#environment.kernels.set(key, kernel);
    }
    kernel.attach();
    return kernel;
  }

  #dtypes(): readonly ComputableDtype[] {
    return this.#task.inputs.map(({ dtype }) => {
      if (!isComputable(dtype)) {
        throw new AmalgamError("internal", `Tensor ${quote(this.#task.tensor)} has dtype ${dtype}, which only copies`);
      }
      return dtype;
    });
  }
}

function binsOf(kind: Gather["kind"]): number {
  if (kind === "upperBits") return upperBins;
  return kind === "lowerBits" ? lowerBins : 0;
}

const programKeys = new WeakMap<Program, string>();

/** The program's content as a string; computed once per program, which serves many pieces. */
function keyOf(program: Program): string {
  let key = programKeys.get(program);
  if (key === undefined) {
    key = JSON.stringify(program.nodes) + program.output;
    programKeys.set(program, key);
  }
  return key;
}
