import type { Kernel } from "../../node-agent/compute/wasm/kernel.js";
import { TileMemory } from "../../node-agent/compute/wasm/memory.js";
import { type MappedPiece, PieceRun, type PieceTask } from "../../node-agent/piece.js";
import { narrow, widen } from "../../shared/checkpoint/convert.js";
import type { ComputableDtype } from "../../shared/checkpoint/dtypes.js";
import { divisionOf } from "../../shared/expression/division.js";
import { type InterpretedTensor, interpret } from "../../shared/expression/interpret.js";
import type { Program } from "../../shared/expression/program.js";
import { randomKey } from "../../shared/expression/random.js";

export interface TensorCase {
  readonly program: Program;
  readonly inputs: readonly Float32Array[];
  readonly dtypes?: readonly ComputableDtype[];
  readonly outputDtype?: ComputableDtype;
  readonly parameters?: readonly number[];
  readonly shape?: readonly number[];
  readonly seed?: number;
}

export const tensorName = "model.layers.0.weight";

const usualMemory = new TileMemory(256 << 20);
const usualKernels = new Map<string, Kernel>();

/** Runs a program over one tensor with the compiled kernels, as a worker does, reading from memory. */
export function runCompiled(given: TensorCase, memory = usualMemory): { bytes: Uint8Array; piece: MappedPiece } {
  const elements = given.inputs[0]?.length ?? 0;
  const stored = given.inputs.map((values, i) => narrow(given.dtypes?.[i] ?? "F32", values));
  const task: PieceTask = {
    tensor: tensorName,
    program: given.program,
    shape: given.shape ?? [elements],
    begin: 0,
    end: elements,
    inputs: stored.map((_, file) => ({ file, offset: 0, dtype: given.dtypes?.[file] ?? "F32" })),
    parameters: given.parameters ?? [],
    statistics: [],
    modelElements: elements,
    outputDtype: given.outputDtype ?? "F32",
    seed: given.seed ?? 0,
  };
  const run = new PieceRun(task, {
    memory,
    // A kernel belongs to the memory that it was made for.
    kernels: memory === usualMemory ? usualKernels : new Map(),
    read: (file, into, position) => into.set(stored[file]?.subarray(position, position + into.length) ?? []),
    progress: () => undefined,
  });
  run.gatherAll();
  const parts: Uint8Array[] = [];
  const piece = run.map((bytes) => parts.push(Uint8Array.from(bytes)));
  return { bytes: Buffer.concat(parts), piece };
}

/** The same tensor by the interpreter, rounded to the output dtype by the scalar reference. */
export function runInterpreted(given: TensorCase, precision: "f32" | "f64" = "f32"): Uint8Array {
  const inputs = given.inputs.map((values, i) => {
    const dtype = given.dtypes?.[i] ?? "F32";
    return widen(dtype, narrow(dtype, values));
  });
  const tensor: InterpretedTensor = {
    inputs,
    parameters: given.parameters ?? [],
    ...(given.shape === undefined ? {} : { rowElements: given.shape.at(-1) ?? 1 }),
    columns: divisionOf(given.shape ?? [inputs[0]?.length ?? 0]).columns,
    keys: Array.from({ length: 16 }, (_, stream) => randomKey(given.seed ?? 0, tensorName, stream)),
  };
  return narrow(given.outputDtype ?? "F32", Float32Array.from(interpret(given.program, tensor, precision)));
}
