import { open } from "node:fs/promises";
import { type ComputableDtype, isComputable } from "../../shared/checkpoint/dtypes.js";
import { toNumbers } from "../../shared/checkpoint/numbers.js";
import type { Checkpoint, CheckpointTensor } from "../../shared/checkpoint/open.js";
import { fileError, readFully } from "../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../shared/errors.js";
import type { Matrix } from "../../shared/linalg/matrix.js";
import { quote } from "../../shared/quote.js";

/** A tensor's bytes. One that is not all there anymore is a `checkpoint_changed`. */
export async function readTensor(checkpoint: Checkpoint, tensor: CheckpointTensor): Promise<Uint8Array<ArrayBuffer>> {
  const path = checkpoint.files[tensor.file]?.path ?? checkpoint.directory;
  const bytes = new Uint8Array(tensor.bytes);
  try {
    await using handle = await open(path);
    const count = await readFully(handle, bytes, tensor.offset);
    if (count === bytes.length) return bytes;
  } catch (error) {
    throw fileError(error, path);
  }
  throw new AmalgamError("checkpoint_changed", `Cannot read ${quote(path)}: it ends within ${quote(tensor.name)}`, {
    details: { file: path, tensor: tensor.name },
  });
}

/** A 2-D tensor of numbers as a matrix. */
export async function readMatrix(checkpoint: Checkpoint, tensor: CheckpointTensor): Promise<Matrix> {
  const [rows = 0, columns = 0] = tensor.shape;
  const numbers = toNumbers(computable(tensor), await readTensor(checkpoint, tensor));
  return { rows, columns, data: Float64Array.from(numbers) };
}

function computable({ name, dtype }: CheckpointTensor): ComputableDtype {
  if (isComputable(dtype)) return dtype;
  throw new AmalgamError("checkpoint_mismatch", `Cannot compute with ${quote(name)}: it is ${dtype}`);
}
