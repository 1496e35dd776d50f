import type { Dtype } from "../../shared/checkpoint/dtypes.js";
import type { RowSegment } from "../../shared/checkpoint/row-segments.js";
import type { Program } from "../../shared/expression/program.js";
import type { ParameterValue } from "../../shared/methods/parameter.js";
import type { ConfigEdit } from "../architecture/config-edits.js";
import type { SourceCard } from "../provenance/source-card.js";

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
  readonly companions: PlannedCompanions;
  /** What the author should know and no error: dtypes that differ, integers that are copied, parameters without effect. */
  readonly warnings: readonly string[];
  /** SHA-256 over all of the above but names of folders and times: see digest.ts. */
  readonly digest: string;
}

/** What the output gets besides weights, and whose it is. */
export interface PlannedCompanions {
  /** Into {@link Plan.models}: whose `config.json` the output's is made from. */
  readonly configFrom: number;
  readonly configEdits: readonly ConfigEdit[];
  /** Into {@link Plan.models}: whose tokenizer files are copied, but for those below. */
  readonly tokenizerFrom: number;
  /** Files made for the output, by name. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Files that are not copied, since they hold another vocabulary than the output's. */
  readonly withheld: readonly string[];
}

export interface PlannedModel {
  /** As the recipe names it. */
  readonly name: string;
  readonly directory: string;
  /** Of the adapter that is applied to it. */
  readonly adapterDirectory?: string | undefined;
  /** What it says of itself, and its adapter if it has one: licence, languages. Not in the digest. */
  readonly cards?: readonly SourceCard[] | undefined;
  /** Of a model on a server: its URL, pinned (`hf://owner/name@COMMIT`). Not in the digest. */
  readonly origin?: string | undefined;
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
  /** Of a file on a server: its URL, and what the server calls its state; see RemoteFile. Not in the digest. */
  readonly remote?: { readonly url: string; readonly version: string | undefined } | undefined;
  /** Milliseconds since 1970, to notice a file that changes while it is being merged. */
  readonly modifiedMs: number;
  /** Computed for this plan from the model, and no file of its own. @default false */
  readonly isComputed?: boolean;
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
  /** By stream of the program. Undefined: the plan's seed, the tensor's own name and the stream's number. */
  readonly randomStreams?: readonly RandomStream[];
  /** Into {@link Plan.files}. */
  readonly file: number;
  /** Of the tensor's first byte, from the start of the file. */
  readonly offset: number;
}

/** A tensor in a source file, perhaps with low-rank updates on top. */
export interface StoredTensor {
  /** Into {@link Plan.sources}. */
  readonly source: number;
  /** Of the tensor's first byte, from the start of the file. */
  readonly offset: number;
  readonly dtype: Dtype;
  readonly bytes: number;
  /** Applied as the tensor is read, which then is F32. Only 2-D tensors have them. */
  readonly updates?: readonly LowRankUpdate[];
}

/** W + scale · B A (LoRA; Hu et al. 2021, section 4.1). A is rank × in, B is out × rank. */
export interface LowRankUpdate {
  readonly a: StoredTensor;
  readonly b: StoredTensor;
  readonly rank: number;
  readonly scale: number;
  /** W is stored as in × out (GPT-2's Conv1D; PEFT's fan_in_fan_out), so (B A)ᵀ is added. */
  readonly transposed: boolean;
}

/** What a program's input reads. With updates or rows, the program sees F32: see `inputDtype()`. */
export interface PlannedInput extends StoredTensor {
  /** Into {@link Plan.models}: whose tensor it stands for. */
  readonly model: number;
  /** The rows are put together from stored tensors, and the stored tensor above is only the first of them. */
  readonly rows?: RowMap;
}

/** A matrix put together from rows of others, such as an embedding in another vocabulary's order. Read as F32. */
export interface RowMap {
  readonly tensors: readonly (StoredTensor & { readonly rows: number })[];
  readonly columns: number;
  /** Consecutive rows of the output. */
  readonly segments: readonly RowSegment[];
}

/** Where a program's random stream comes from; see `randomKey()`. */
export interface RandomStream {
  readonly seed: number;
  readonly tensor: string;
  readonly stream: number;
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
