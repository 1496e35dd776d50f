import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isComputable } from "../../shared/checkpoint/dtypes.js";
import { toNumbers } from "../../shared/checkpoint/numbers.js";
import type { Checkpoint, CheckpointTensor } from "../../shared/checkpoint/open.js";
import { formatSafetensors, readTensorBytes, type TestTensors } from "./checkpoints.js";
import { repositoryPath } from "./repository.js";

/** A path among the adapters that PEFT made. */
export function fixture(...parts: readonly string[]): string {
  return repositoryPath("test/unit/coordinator/lora/fixtures", ...parts);
}

/** A PEFT adapter; without tensors, only its configuration and `files`. */
export async function writeAdapter(
  directory: string,
  tensors: TestTensors | undefined,
  config: object,
  files: Readonly<Record<string, Uint8Array>> = {},
): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, "adapter_config.json"), JSON.stringify({ peft_type: "LORA", ...config }));
  if (tensors !== undefined) await writeFile(join(directory, "adapter_model.safetensors"), formatSafetensors(tensors));
  for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content);
}

/** A tensor's numbers, those of F64 not rounded. */
export function readMatrix(checkpoint: Checkpoint, tensor: CheckpointTensor | undefined): Float64Array {
  if (tensor === undefined || !isComputable(tensor.dtype)) throw new RangeError("No such tensor of numbers");
  return Float64Array.from(toNumbers(tensor.dtype, readTensorBytes(checkpoint, tensor.name)));
}

/** scale · B A, transposed if asked for, in F64. */
export function lowRankProduct(
  checkpoint: Checkpoint,
  update: {
    readonly a: CheckpointTensor;
    readonly b: CheckpointTensor;
    readonly scale: number;
    readonly transposed: boolean;
  },
): Float64Array {
  const [a, b] = [readMatrix(checkpoint, update.a), readMatrix(checkpoint, update.b)];
  const [rank = 0, into = 0] = update.a.shape;
  const [out = 0] = update.b.shape;
  const product = new Float64Array(out * into);
  for (let row = 0; row < out; row += 1) {
    for (let column = 0; column < into; column += 1) {
      let sum = 0;
      for (let k = 0; k < rank; k += 1) sum += (b[row * rank + k] ?? 0) * (a[k * into + column] ?? 0);
      product[update.transposed ? column * out + row : row * into + column] = update.scale * sum;
    }
  }
  return product;
}

/** Infinity where lengths differ. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < a.length; i += 1) largest = Math.max(largest, Math.abs((a[i] ?? 0) - (b[i] ?? 0)));
  return largest;
}
