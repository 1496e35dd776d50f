import type { Dtype } from "../../shared/checkpoint/dtypes.js";
import type { Program } from "../../shared/expression/program.js";
import type { ParameterValue } from "../../shared/methods/parameter.js";

/**
 * Every byte of the output, named: what we derived from a recipe and the headers of its sources. Pure data; the same
 * recipe and the same headers give the same plan, whatever runs it.
 */
export interface Plan {
  readonly method: string;
  readonly seed: number;
  readonly models: readonly PlannedModel[];
  /** The source files of all models. */
  readonly sources: readonly PlannedSource[];
  readonly programs: readonly Program[];
  /** In output order: file by file, by offset. */
  readonly tensors: readonly PlannedTensor[];
  readonly files: readonly OutputFile[];
  /** What the author should know and no error: dtypes that differ, integers that are copied, parameters without effect. */
  readonly warnings: readonly string[];
  /** SHA-256 over all of the above but names of folders and times: see digest.ts. */
  readonly digest: string;
}

export interface PlannedModel {
  /** As the recipe names it. */
  readonly name: string;
  readonly directory: string;
  readonly isBase: boolean;
  readonly tensors: number;
  readonly bytes: number;
  readonly dtypes: Readonly<Partial<Record<Dtype, number>>>;
  readonly parameters: Readonly<Record<string, ParameterValue>>;
}

export interface PlannedSource {
  /** Into {@link Plan.models}. */
  readonly model: number;
  readonly name: string;
  /** Absolute, symlinks resolved. */
  readonly path: string;
  readonly bytes: number;
  /** SHA-256 of the safetensors header, its 8-byte length included. */
  readonly headerSha256: string;
  /** Milliseconds since 1970, to notice a file that changes while it is being merged. */
  readonly modifiedMs: number;
}

export interface PlannedTensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly elements: number;
  readonly bytes: number;
  /** Into {@link Plan.programs}. */
  readonly program: number;
  /** The program's parameter slots. */
  readonly parameters: readonly number[];
  /** One per program input. */
  readonly inputs: readonly PlannedInput[];
  /** Into {@link Plan.files}. */
  readonly file: number;
  /** Of the tensor's first byte, from the start of the file. */
  readonly offset: number;
}

export interface PlannedInput {
  /** Into {@link Plan.sources}. */
  readonly source: number;
  /** Of the tensor's first byte, from the start of the file. */
  readonly offset: number;
  readonly dtype: Dtype;
  readonly bytes: number;
}

export interface OutputFile {
  readonly name: string;
  /** The safetensors header, its 8-byte length included. */
  readonly header: Uint8Array;
  /** Header and data. */
  readonly bytes: number;
}

/** A self-contained piece of work: some whole tensors, or a range of one. */
export interface Unit {
  /** Its place in the list that cutUnits() made; the same plan and unit size give the same list. */
  readonly id: number;
  readonly pieces: readonly UnitPiece[];
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

export interface UnitPiece {
  /** Into {@link Plan.tensors}. */
  readonly tensor: number;
  /** Elements [begin, end). */
  readonly begin: number;
  readonly end: number;
}
