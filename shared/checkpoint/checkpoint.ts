import type { Dtype } from "./dtypes.js";

/** One safetensors file of a checkpoint. */
export type CheckpointFile = {
  /** Its name in the checkpoint's folder. */
  readonly name: string;
  /** Where it really is, links followed. */
  readonly path: string;
  readonly bytes: number;
  /** SHA-256 of the header, its eight length bytes included: what says later that the file is still the same. */
  readonly headerSha256: string;
  /** Where tensor data starts. */
  readonly dataOffset: number;
  /** The text of `__metadata__`. */
  readonly metadata: ReadonlyMap<string, string>;
};

/** One tensor of a checkpoint and where its bytes are. */
export type CheckpointTensor = {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Position in `Checkpoint.files`. */
  readonly file: number;
  /** From the start of the file, not of its data. */
  readonly offset: number;
  readonly bytes: number;
};

/** A checkpoint whose headers were read and found sound. Its tensors were not read; no file is kept open. */
export type Checkpoint = {
  /** The folder as it was named. */
  readonly directory: string;
  /** The real path of the folder that all its files are in; in the Hugging Face cache, the `models--` folder. */
  readonly root: string;
  readonly files: readonly CheckpointFile[];
  /** In the order of `files`, then of offsets. */
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  /** `config.json` as a value; undefined when there is none. */
  readonly config: unknown;
  readonly configText: string | undefined;
  /** What is odd and can be lived with, each a sentence. */
  readonly warnings: readonly string[];
};

/** What the files of a checkpoint hold. */
export type Contents = Pick<Checkpoint, "files" | "tensors" | "warnings">;
