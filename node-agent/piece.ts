import { crc32 } from "node:zlib";
import { type ComputableDtype, type Dtype, dtypeBits, dtypeBytes, isComputable } from "../shared/checkpoint/dtypes.js";
import { AmalgamError } from "../shared/errors.js";
import { Columns } from "../shared/expression/columns.js";
import { blockOf, type Division, divisionOf } from "../shared/expression/division.js";
import { binsOf, isLowerCount } from "../shared/expression/order-statistics.js";
import { type Schedule, schedule, sharedGathers, targetsOf } from "../shared/expression/passes.js";
import { type NodeId, nodeAt, type Program } from "../shared/expression/program.js";
import { type RandomKey, randomKey } from "../shared/expression/random.js";
import { rememberedMasks } from "../shared/expression/remembered.js";
import { countsOf, Scalars } from "../shared/expression/scalars.js";
import type { Partial } from "../shared/expression/statistics.js";
import { tileBytes, tileElements, tileSlack, workerBytes } from "../shared/expression/tiles.js";
import { quote } from "../shared/quote.js";
import { Kernel, type MapObservation, type Task } from "./compute/wasm/kernel.js";
import { spareBins } from "./compute/wasm/layout.js";
import type { TileMemory } from "./compute/wasm/memory.js";
import { CombinedRows } from "./inputs/combinations.js";
import { isDerived, type PieceInput, readDtype } from "./inputs/input.js";
import { openInputs } from "./inputs/open.js";
import { ReadContext } from "./inputs/reader.js";
import { KeptInputs } from "./kept-inputs.js";
import { LineValues } from "./line-values.js";
import { MaskBits, MaskDrawing } from "./mask-bits.js";

/** A piece of an output tensor, decoded from the wire. */
export interface PieceTask {
  readonly tensor: string;
  readonly program: Program;
  readonly shape: readonly number[];
  /** Elements [begin, end) of the tensor. */
  readonly begin: number;
  readonly end: number;
  readonly inputs: readonly PieceInput[];
  readonly parameters: readonly number[];
  readonly statistics: readonly number[];
  readonly modelElements: number;
  readonly outputDtype: Dtype;
  readonly seed: number;
  /** By stream of the program. Undefined: the seed and the tensor above, and the stream's number. */
  readonly randomStreams?: readonly RandomStream[];
}

/** What a random stream follows from; see `randomKey()`. */
export interface RandomStream {
  readonly seed: number;
  readonly tensor: string;
  readonly stream: number;
}

/** What a piece needs of the world: bytes in, bytes out, and a place to say that it is getting on. */
export interface PieceEnvironment {
  readonly memory: TileMemory;
  /** Kernels compiled so far by this worker, by what they are compiled from. */
  readonly kernels: Map<string, Kernel>;
  read(file: number, into: Uint8Array, position: number): void;
  /** Called after every tile, and within one that takes long to read; throws when the task was canceled. */
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
  readonly #columns: Columns;
  readonly #division: Division;
  /** Elements that a kernel works on at once. */
  readonly #block: number;
  readonly #programKey: string;
  readonly #combinedRows = new CombinedRows();
  /** Masks that are drawn by themselves. */
  readonly #masks: readonly NodeId[];
  /** Undefined: masks are drawn anew in every pass. */
  #keptMasks: MaskBits | undefined;
  /** Undefined: inputs are read in every pass. */
  #keptInputs: KeptInputs | undefined;

  constructor(task: PieceTask, environment: PieceEnvironment) {
    this.#task = task;
    this.#environment = environment;
    this.#schedule = schedule(task.program);
    this.#division = divisionOf(task.shape);
    this.#block = blockOf(this.#schedule, this.#division);
    const { elements, columns } = this.#division;
    const { parameters, statistics } = task;
    if (this.#schedule.columnwise && (task.begin !== 0 || task.end !== elements || statistics.length > 0)) {
      const range = `elements [${task.begin}, ${task.end}) of ${elements}`;
      throw new AmalgamError("usage", `Cannot sum the columns of ${quote(task.tensor)}: the piece has only ${range}`);
    }
    const counts = countsOf(this.#division, task.modelElements);
    this.#scalars = new Scalars(
      task.program,
      this.#schedule,
      { parameters, counts },
      statistics.length > 0 ? statistics : undefined,
    );
    this.#columns = new Columns(task.program, this.#scalars, columns);
    this.#programKey = keyOf(task.program);
    this.#masks = rememberedMasks(task.program);
  }

  /** Gathers all statistics passes, for a piece that is a whole tensor and needs nothing from other tensors. */
  gatherAll(): void {
    this.#environment.memory.clear();
    if (this.#hasRoomToKeep()) {
      this.#keepMasks();
      this.#keepInputs();
    }
    this.#schedule.statistics.forEach((_, pass) => {
      this.#scalars.finishPass(pass, this.gather(pass));
    });
  }

  /**
   * What has been gathered, by slot: what another run over the same tensors may be given instead of gathering. Empty when
   * sums over columns are part of it, which are not given on.
   */
  get statistics(): number[] {
    return this.#schedule.columnwise ? [] : [...this.#scalars.statistics];
  }

  /**
   * There are several passes, and what each takes is there beside what is kept, half of the memory at most. As much again
   * is left for putting inputs together, which takes what is not known here.
   */
  #hasRoomToKeep(): boolean {
    if (this.#schedule.statistics.length === 0 || this.#division.elements === 0) return false;
    const bytesPerElement = this.#dtypes().reduce((bytes, dtype) => bytes + dtypeBytes(dtype), maxOutputBytes);
    const bytes = workerBytes(bytesPerElement, this.#task.shape, this.#schedule, this.#masks.length);
    return bytes <= this.#environment.memory.budgetBytes / 4;
  }

  /** Takes memory for masks that several passes need, if there are any and it is there. */
  #keepMasks(): void {
    if (this.#masks.length === 0) return;
    const row = this.#schedule.rowwise ? this.#block : undefined;
    this.#keptMasks = MaskBits.keep(this.#environment.memory, this.#masks, this.#division.elements, row);
  }

  /** Takes memory for what several passes read, if it is there. */
  #keepInputs(): void {
    if (this.#task.inputs.some(isDerived)) return;
    const { memory } = this.#environment;
    const size = { elements: this.#division.elements, block: this.#block };
    this.#keptInputs = KeptInputs.keep(memory, this.#dtypes(), size);
  }

  /** Gathers one statistics pass: one partial per gather. Sums over columns are kept for the passes after it. */
  gather(pass: number): Partial[] {
    const statisticsPass = this.#schedule.statistics[pass];
    if (statisticsPass === undefined) throw new AmalgamError("internal", `Program has no statistics pass ${pass}`);
    const { columnSums } = statisticsPass;
    const shared = sharedGathers(this.#task.program, statisticsPass.gathers);
    const gathers = [...new Set(shared)];
    const { memory } = this.#environment;
    memory.reset();
    const histograms = gathers.map((gather) => {
      const bytes = 4 * (binsOf(gather.kind) + spareBins);
      const address = memory.allocate(bytes, "the counts of an order statistic");
      memory.bytes(address, bytes).fill(0);
      return address;
    });
    const accumulators = columnSums.map(() => {
      const bytes = Float64Array.BYTES_PER_ELEMENT * (this.#block + tileSlack);
      const address = memory.allocate(bytes, `the column sums of ${quote(this.#task.tensor)}`);
      memory.bytes(address, bytes).fill(0);
      return address;
    });
    const kernel = this.#kernel({ kind: "gather", gathers, columnSums, masks: this.#masks }, `gather ${pass}`);
    const sums: number[][] = gathers.map(() => []);
    const largest = gathers.map(() => -Infinity);
    this.#tiles(kernel, targetsOf(this.#task.program, { gathers, columnSums }), undefined, (count, index, row) => {
      kernel.setHistograms([...histograms, ...accumulators]);
      kernel.setBins(
        gathers.map((gather) => (isLowerCount(gather.kind) ? this.#scalars.upperBitsOf(gather.node)[0] : 0)),
      );
      kernel.run(count, index, row);
      gathers.forEach((gather, place) => {
        if (gather.kind === "sum") sums[place]?.push(kernel.sum(place));
        if (gather.kind === "largest") largest[place] = Math.max(largest[place] ?? -Infinity, kernel.largest(place));
      });
    });
    columnSums.forEach((node, place) => {
      const address = accumulators[place] ?? 0;
      this.#columns.finish(node, new Float64Array(memory.memory.buffer, address, this.#block));
    });
    const found = gathers.map((gather, place): Partial => {
      if (gather.kind === "sum") return { kind: "sum", blocks: Float64Array.from(sums[place] ?? []) };
      if (gather.kind === "largest") return { kind: "largest", value: largest[place] ?? -Infinity };
      const bins = binsOf(gather.kind);
      const counts = new Uint32Array(memory.memory.buffer, histograms[place] ?? 0, bins);
      return { kind: gather.kind, counts: new Float64Array(counts) };
    });
    return shared.map((gather) => found[gathers.indexOf(gather)] as Partial);
  }

  /** Computes the output, once all statistics are known. `write` gets its bytes in order, as views it must not keep. */
  map(write: (bytes: Uint8Array, offset: number) => void): MappedPiece {
    const { outputDtype, program } = this.#task;
    const output = nodeAt(program, program.output);
    const copied = output.op === "input" ? this.#task.inputs[output.value] : undefined;
    const isCopy = copied !== undefined && !isDerived(copied) && copied.dtype === outputDtype;
    if (isCopy && !isComputable(outputDtype)) return this.#copy(output.value, write);
    if (!isComputable(outputDtype)) {
      throw new AmalgamError("usage", `Tensor ${quote(this.#task.tensor)} has dtype ${outputDtype}, which only copies`);
    }
    const { memory } = this.#environment;
    memory.reset();
    const kernel = this.#kernel({ kind: "map", output: outputDtype, masks: this.#masks }, `map ${outputDtype}`);
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
    const { begin, end, inputs, shape } = this.#task;
    const { memory, read, progress } = this.#environment;
    const dtypes = this.#dtypes();
    const { rowwise } = this.#schedule;
    const block = this.#block;
    const outputBytes = output === undefined ? 0 : dtypeBytes(output.dtype);
    const elementBytes = dtypes.reduce((bytes, dtype) => bytes + dtypeBytes(dtype), outputBytes);
    const tile = Math.min(end - begin, tileElements(elementBytes, this.#division, this.#schedule));
    const what = `a tile of ${tile} elements of ${inputs.length} models for ${quote(this.#task.tensor)}`;
    const tiles = dtypes.map((dtype) => memory.allocate((tile + tileSlack) * dtypeBytes(dtype), what));
    const outputAddress = output === undefined ? 0 : memory.allocate((tile + tileSlack) * outputBytes, what);
    kernel.setKeys((stream) => this.#keyOf(stream));
    kernel.setScalars(this.#scalars.values);
    const masks = this.#drawingFor(kernel);
    const lines = this.#lineValues(kernel, targets, masks);

    const context = new ReadContext(memory, read, (bytesRead) => progress(bytesRead, 0));
    const readers = openInputs(inputs, shape, context, this.#combinedRows);

    const kept = this.#keptInputs;
    let count = 0;
    for (let at = begin; at < end; at += count) {
      const isKept = kept !== undefined && at < kept.elements;
      count = Math.min(tile, (isKept ? kept.elements : end) - at);
      const addresses = isKept ? kept.addressesOf(at) : tiles;
      if (!(isKept && kept.isComplete)) {
        readers.forEach((reader, i) => {
          reader.read(at, at + count, addresses[i] ?? 0);
        });
      }
      for (let inTile = 0; inTile < count; inTile += block) {
        const elements = Math.min(block, count - inTile);
        const pointers = addresses.map((address, i) => address + inTile * dtypeBytes(dtypes[i] ?? "F32"));
        const index = at + inTile;
        const row = rowwise ? Math.floor(index / block) : 0;
        if (lines.differByRow) {
          lines.setRow(pointers, elements, row);
          kernel.setScalars(this.#scalars.values);
        }
        const first = rowwise ? 0 : index;
        masks?.prepare(pointers, elements, first, row);
        kernel.setPointers(pointers, outputAddress + inTile * outputBytes);
        run(elements, first, row);
      }
      if (output !== undefined) {
        const from = output.copyOf === undefined ? outputAddress : (addresses[output.copyOf] ?? 0);
        output.emit(memory.bytes(from, count * outputBytes));
      }
      progress(context.takeBytesRead(), output === undefined ? 0 : count * outputBytes);
    }
    masks?.finish();
    if (kept !== undefined) kept.isComplete = true;
  }

  /** What gives a pass's kernel its masks; undefined if it needs none. */
  #drawingFor(kernel: Kernel): MaskDrawing | undefined {
    const { begin, end } = this.#task;
    const { maskNodes } = kernel;
    if (maskNodes.length === 0) return undefined;
    const block = Math.min(this.#block, end - begin);
    const bits = this.#keptMasks ?? MaskBits.ofBlock(this.#environment.memory, maskNodes, block);
    return new MaskDrawing(bits, kernel, (nodes) => {
      const drawing = this.#kernel({ kind: "draw", nodes }, `draw ${nodes.join()}`);
      drawing.setKeys((stream) => this.#keyOf(stream));
      drawing.setScalars(this.#scalars.values);
      return drawing;
    });
  }

  #keyOf(stream: number): RandomKey {
    const { seed, tensor, randomStreams } = this.#task;
    const from = randomStreams?.[stream] ?? { seed, tensor, stream };
    return randomKey(from.seed, from.tensor, from.stream);
  }

  #lineValues(kernel: Kernel, targets: readonly NodeId[], masks: MaskDrawing | undefined): LineValues {
    const kernels = masks?.kernel === undefined ? [kernel] : [kernel, masks.kernel];
    return new LineValues(kernels, {
      tensor: this.#task.tensor,
      program: this.#task.program,
      targets: [...targets, ...(masks?.nodes ?? [])],
      isKnown: (node) => this.#keptMasks?.isComplete(node) === true,
      scalars: this.#scalars,
      columns: this.#columns,
      memory: this.#environment.memory,
      block: Math.min(this.#block, this.#task.end - this.#task.begin),
      kernelOf: (task, name) => {
        const own = this.#kernel(task, name);
        own.setKeys((stream) => this.#keyOf(stream));
        return own;
      },
    });
  }

  #kernel(task: Task, name: string): Kernel {
    const dtypes = this.#dtypes();
    const key = `${this.#programKey} ${dtypes.join()} ${name}`;
    const { kernels, memory } = this.#environment;
    let kernel = kernels.get(key);
    if (kernel === undefined) {
      kernel = new Kernel(this.#task.program, dtypes, task, memory);
      const [oldest] = kernels.keys();
      if (oldest !== undefined && kernels.size >= mostKernels) kernels.delete(oldest);
      kernels.set(key, kernel);
    }
    kernel.attach();
    return kernel;
  }

  #dtypes(): readonly ComputableDtype[] {
    return this.#task.inputs.map((input) => {
      const dtype = readDtype(input);
      if (!isComputable(dtype)) {
        throw new AmalgamError("usage", `Tensor ${quote(this.#task.tensor)} has dtype ${dtype}, which only copies`);
      }
      return dtype;
    });
  }
}

/** Of an element of any dtype. */
const maxOutputBytes = 8;

/** A merge has a handful for each of its programs. V8 ends a process that has no room left for compiled code. */
const mostKernels = 512;

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
