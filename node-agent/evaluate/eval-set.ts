import { formatBytes } from "../../shared/bytes.js";
import { type Checkpoint, openCheckpoint } from "../../shared/checkpoint/open.js";
import { openRegularFile, readFully } from "../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { Batch } from "./batch.js";

/** Examples and their answers. */
export interface EvalSet {
  readonly count: number;
  /** By the name of the graph's input. */
  readonly inputs: ReadonlyMap<string, Batch>;
  /** The right class of every example. */
  readonly labels: BigInt64Array;
}

/** A tensor is held in memory whole, and sets of examples are far smaller than this. */
const maxTensorBytes = 1 << 30;

/**
 * Reads a safetensors file with a tensor for each of the graph's `inputs` (F32 or I64) and one called "labels" (I64),
 * each with a row per example.
 */
export async function readEvalSet(path: string, inputs: readonly string[]): Promise<EvalSet> {
  const file = await openCheckpoint(path);
  const labels = await readColumn(file, path, "labels");
  if (!(labels.values instanceof BigInt64Array) || labels.shape.length !== 1) {
    throw refuse(path, `"labels" is ${describe(labels)}, not a list of I64`);
  }
  const count = labels.values.length;
  const columns = new Map<string, Batch>();
  for (const name of inputs) {
    const column = await readColumn(file, path, name);
    if (column.shape[0] !== count) {
      throw refuse(path, `${quote(name)} is ${describe(column)}, and there are ${count} labels`);
    }
    columns.set(name, column);
  }
  return { count, inputs: columns, labels: labels.values };
}

async function readColumn(file: Checkpoint, path: string, name: string): Promise<Batch> {
  const tensor = file.tensors.get(name);
  const source = file.files[tensor?.file ?? -1];
  if (tensor === undefined || source === undefined) throw refuse(path, `it has no tensor ${quote(name)}`);
  const { dtype, shape, bytes } = tensor;
  if (dtype !== "F32" && dtype !== "I64") throw refuse(path, `${quote(name)} is ${dtype}, neither F32 nor I64`);
  if (bytes > maxTensorBytes) {
    throw refuse(path, `${quote(name)} has ${formatBytes(bytes)}, above the limit of ${formatBytes(maxTensorBytes)}`);
  }
  const content = new Uint8Array(bytes);
  const { handle } = await openRegularFile(source.path);
  try {
    const read = await readFully(handle, content, tensor.offset);
    if (read < bytes) throw refuse(path, `${quote(name)} ends after ${read} of ${bytes} bytes`);
  } finally {
    await handle.close();
  }
  const values = dtype === "F32" ? new Float32Array(content.buffer) : new BigInt64Array(content.buffer);
  return { values, shape };
}

function describe({ values, shape }: Batch): string {
  return `${values instanceof Float32Array ? "F32" : "I64"} of shape [${shape.join(", ")}]`;
}

function refuse(path: string, problem: string): AmalgamError {
  return new AmalgamError("checkpoint_malformed", `Cannot evaluate on ${quote(path)}: ${problem}`, {
    details: { file: path },
  });
}
