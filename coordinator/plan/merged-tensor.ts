import type { Dtype } from "../../shared/checkpoint/dtypes.js";
import type { Program } from "../../shared/expression/program.js";
import type { PlannedInput, RandomStream } from "./types.js";

/** An output tensor of one document: what it is, before anyone has said where its bytes go. */
export interface MergedTensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** The same object for all tensors that run the same program. */
  readonly program: Program;
  readonly parameters: readonly number[];
  /** One per program input. */
  readonly inputs: readonly PlannedInput[];
  /** By stream of the program; undefined for a program without. */
  readonly randomStreams: readonly RandomStream[] | undefined;
}
