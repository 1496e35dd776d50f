import type { FileHandle } from "node:fs/promises";
import { type ComputableDtype, dtypeBytes, isComputable } from "../../shared/checkpoint/dtypes.js";
import { toNumbers } from "../../shared/checkpoint/numbers.js";
import type { Checkpoint, CheckpointTensor } from "../../shared/checkpoint/open.js";
import { fileError, openRegularFile, readFully } from "../../shared/checkpoint/regular-file.js";
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
  await using files = new OpenFiles();
  for (const tensor of base.tensors.values()) {
    const others = models.map(({ name, checkpoint }) => counterpart(tensor, name, checkpoint));
    if (!isComputable(tensor.dtype) || others.includes(undefined)) continue;
    const elements = tensor.bytes / dtypeBytes(tensor.dtype);
    for (let begin = 0; begin < elements; begin += tileElements) {
      signal?.throwIfAborted();
      const count = Math.min(tileElements, elements - begin);
      const origin = await files.read(base, tensor, tensor.dtype, begin, count);
      const vectors: Float64Array[] = [];
      for (const [i, { checkpoint }] of models.entries()) {
        const other = others[i];
        if (other === undefined) continue;
        const vector = await files.read(checkpoint, other.tensor, other.dtype, begin, count);
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

/** One open file of each checkpoint: a checkpoint may have thousands. */
class OpenFiles implements AsyncDisposable {
  readonly #open = new Map<Checkpoint, { readonly file: number; readonly handle: FileHandle }>();

  async read(
    checkpoint: Checkpoint,
    tensor: CheckpointTensor,
    dtype: ComputableDtype,
    begin: number,
    count: number,
  ): Promise<Float64Array> {
    const width = dtypeBytes(dtype);
    const bytes = new Uint8Array(count * width);
    const handle = await this.#handleOf(checkpoint, tensor.file);
    const read = await readFully(handle, bytes, tensor.offset + begin * width);
    if (read === bytes.length) return Float64Array.from(toNumbers(dtype, bytes));
    const file = checkpoint.files[tensor.file]?.name ?? "";
    throw new AmalgamError("checkpoint_changed", `Cannot read ${quote(tensor.name)}: ${quote(file)} shrank meanwhile`);
  }

  async #handleOf(checkpoint: Checkpoint, file: number): Promise<FileHandle> {
    const open = this.#open.get(checkpoint);
    if (open?.file === file) return open.handle;
    this.#open.delete(checkpoint);
    await open?.handle.close();
    const { path, name } = checkpoint.files[file] ?? { path: "", name: "" };
    try {
      const { handle } = await openRegularFile(path, { name });
      this.#open.set(checkpoint, { file, handle });
      return handle;
    } catch (error) {
      throw fileError(error, name);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const handles = [...this.#open.values()].map(({ handle }) => handle);
    this.#open.clear();
    await Promise.all(handles.map((handle) => handle.close()));
  }
}
