import { type ComputableDtype, dtypeBytes, isComputable } from "../../shared/checkpoint/dtypes.js";
import { toNumbers } from "../../shared/checkpoint/numbers.js";
import type { Checkpoint, CheckpointTensor } from "../../shared/checkpoint/open.js";
import { TensorReader } from "../../shared/checkpoint/tensor-reader.js";
import { AmalgamError } from "../../shared/errors.js";
import { addScaled, dot } from "../../shared/linalg/matrix.js";
import { quote } from "../../shared/quote.js";

/** Lengths and angles of task vectors τ_i = θ_i − θ_base, all tensors of a model taken as one vector. */
export interface TaskVectors {
  /** As the recipe names them, without the base. */
  readonly models: readonly string[];
  /** ⟨τ_i, τ_j⟩ in the order of the models. */
  readonly gram: readonly (readonly number[])[];
}

/** A model with its headers read. */
interface NamedCheckpoint {
  readonly name: string;
  readonly checkpoint: Checkpoint;
}

/** Elements of each model in memory at once, as f64: 2 MiB. */
const tileElements = 262_144;

/**
 * Reads base and models once, tile by tile, in the order of the base's tensors, and adds up in f64; so equal files give
 * equal numbers. Tensors that are not numbers to compute with in the base, or that one of the models lacks, are left out.
 */
export async function readTaskVectors(
  base: Checkpoint,
  models: readonly NamedCheckpoint[],
  signal?: AbortSignal,
): Promise<TaskVectors> {
  const gram = models.map(() => new Float64Array(models.length));
  await using origins = new TensorReader(base);
  const readers = models.map(({ checkpoint }) => new TensorReader(checkpoint));
  await using _ = { [Symbol.asyncDispose]: () => closeAll(readers) };
  for (const tensor of base.tensors.values()) {
    const others = models.map(({ name, checkpoint }) => counterpart(tensor, name, checkpoint));
    if (!isComputable(tensor.dtype) || others.includes(undefined)) continue;
    const elements = tensor.bytes / dtypeBytes(tensor.dtype);
    for (let begin = 0; begin < elements; begin += tileElements) {
      signal?.throwIfAborted();
      const count = Math.min(tileElements, elements - begin);
      const origin = await readNumbers(origins, tensor, tensor.dtype, begin, count);
      const vectors: Float64Array[] = [];
      for (const [i, reader] of readers.entries()) {
        const other = others[i];
        if (other === undefined) continue;
        const vector = await readNumbers(reader, other.tensor, other.dtype, begin, count);
        addScaled(vector, -1, origin);
        vectors.push(vector);
      }
      for (const [i, row] of gram.entries()) {
        for (let j = 0; j <= i; j += 1) {
          row[j] = (row[j] ?? 0) + dot(vectors[i] ?? origin, vectors[j] ?? origin);
        }
      }
    }
  }
  return {
    models: models.map(({ name }) => name),
    gram: gram.map((row, i) => Array.from(row, (value, j) => (j <= i ? value : (gram[j]?.[i] ?? 0)))),
  };
}

function counterpart(
  tensor: CheckpointTensor,
  model: string,
  checkpoint: Checkpoint,
): { readonly tensor: CheckpointTensor; readonly dtype: ComputableDtype } | undefined {
  const other = checkpoint.tensors.get(tensor.name);
  if (other === undefined || !isComputable(other.dtype)) return undefined;
  if (other.shape.join() === tensor.shape.join()) return { tensor: other, dtype: other.dtype };
  const shapes = `the base has [${tensor.shape.join(", ")}], ${quote(model)} has [${other.shape.join(", ")}]`;
  throw new AmalgamError("checkpoint_mismatch", `Cannot subtract ${quote(tensor.name)} from its base: ${shapes}`);
}

async function readNumbers(
  reader: TensorReader,
  tensor: CheckpointTensor,
  dtype: ComputableDtype,
  begin: number,
  count: number,
): Promise<Float64Array> {
  const width = dtypeBytes(dtype);
  return Float64Array.from(toNumbers(dtype, await reader.read(tensor, begin * width, count * width)));
}

async function closeAll(readers: readonly TensorReader[]): Promise<void> {
  await Promise.all(readers.map((reader) => reader[Symbol.asyncDispose]()));
}
