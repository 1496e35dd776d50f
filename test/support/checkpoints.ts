import { closeSync, openSync, readSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { narrow, widen } from "../../shared/checkpoint/convert.js";
import { type ComputableDtype, type Dtype, isComputable } from "../../shared/checkpoint/dtypes.js";
import { formatHeader } from "../../shared/checkpoint/header.js";
import { formatIndex, indexFileName } from "../../shared/checkpoint/index-json.js";
import type { Checkpoint } from "../../shared/checkpoint/open.js";

/** A tensor to write: numbers, rounded to the dtype, or its bytes as they are. */
export type TestTensor =
  | { readonly dtype: ComputableDtype; readonly shape: readonly number[]; readonly values: ArrayLike<number> }
  | { readonly dtype: Dtype; readonly shape: readonly number[]; readonly bytes: Uint8Array };

export type TestTensors = Readonly<Record<string, TestTensor>> | ReadonlyMap<string, TestTensor>;

export type WriteCheckpointOptions = {
  /** Files to spread the tensors over; one file has no index. @default 1 */
  readonly shards?: number;
  /** Becomes `config.json`. */
  readonly config?: unknown;
  /** Becomes `__metadata__` of every file. @default { format: "pt" } */
  readonly metadata?: Readonly<Record<string, string>>;
};

/** Writes a checkpoint in the layout of the Hugging Face Hub into `directory`, made if need be, and returns its path. */
export async function writeCheckpoint(
  directory: string,
  tensors: TestTensors,
  options: WriteCheckpointOptions = {},
): Promise<string> {
  await mkdir(directory, { recursive: true });
  const entries: [string, TestTensor][] = tensors instanceof Map ? [...tensors] : Object.entries(tensors);
  const shards = options.shards ?? 1;
  const metadata = new Map(Object.entries(options.metadata ?? { format: "pt" }));
  const weightMap = new Map<string, string>();
  let totalSize = 0;
  for (let shard = 0; shard < shards; shard++) {
    const from = Math.floor((entries.length * shard) / shards);
    const to = Math.floor((entries.length * (shard + 1)) / shards);
    const name = shards === 1 ? "model.safetensors" : shardName(shard + 1, shards);
    const own = new Map(entries.slice(from, to));
    const file = formatSafetensors(own, metadata);
    await writeFile(join(directory, name), file);
    for (const [tensor, content] of own) {
      weightMap.set(tensor, name);
      totalSize += bytesOf(content).length;
    }
  }
  if (shards > 1) await writeFile(join(directory, indexFileName), formatIndex(weightMap, totalSize));
  if (options.config !== undefined) {
    await writeFile(join(directory, "config.json"), `${JSON.stringify(options.config, null, 2)}\n`);
  }
  return directory;
}

/** A whole safetensors file. */
export function formatSafetensors(
  tensors: TestTensors,
  metadata: ReadonlyMap<string, string> = new Map(),
): Uint8Array<ArrayBuffer> {
  const entries: [string, TestTensor][] = tensors instanceof Map ? [...tensors] : Object.entries(tensors);
  const header = formatHeader(
    entries.map(([name, { dtype, shape }]) => ({ name, dtype, shape })),
    metadata,
  );
  return concat([header, ...entries.map(([, tensor]) => bytesOf(tensor))]);
}

/** A tensor's bytes, read from its file. */
export function readTensorBytes(checkpoint: Checkpoint, name: string): Uint8Array<ArrayBuffer> {
  const tensor = checkpoint.tensors.get(name);
  const file = checkpoint.files[tensor?.file ?? -1];
  if (tensor === undefined || file === undefined)
    throw new RangeError(`No tensor "${name}" in ${checkpoint.directory}`);
  const bytes = new Uint8Array(tensor.bytes);
  const descriptor = openSync(file.path, "r");
  try {
    const read = readSync(descriptor, bytes, 0, tensor.bytes, tensor.offset);
    if (read !== tensor.bytes) throw new RangeError(`Tensor "${name}" has ${tensor.bytes} bytes and ${read} were read`);
  } finally {
    closeSync(descriptor);
  }
  return bytes;
}

/** A tensor's numbers. */
export function readTensor(checkpoint: Checkpoint, name: string): Float32Array<ArrayBuffer> {
  const dtype = checkpoint.tensors.get(name)?.dtype;
  if (dtype !== undefined && !isComputable(dtype)) throw new RangeError(`Tensor "${name}" is ${dtype}, not numbers`);
  return widen(dtype ?? "F32", readTensorBytes(checkpoint, name));
}

/** A generator of numbers from 0 to 1, the same on every machine for the same seed (xorshift32, Marsaglia 2003). */
export function randomFrom(seed: number): () => number {
  // Multiplied so that neighbouring seeds start far apart; the low bit is set because zero would stay zero.
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Numbers that look like weights: bell-shaped around 0, most within `scale`. */
export function randomValues(seed: number, count: number, scale = 0.05): Float32Array<ArrayBuffer> {
  const random = randomFrom(seed);
  return new Float32Array(count).map(() => (random() + random() + random() + random() - 2) * scale);
}

/** A tensor of `randomValues()`. */
export function randomTensor(seed: number, shape: readonly number[], dtype: ComputableDtype = "F32"): TestTensor {
  return { dtype, shape, values: randomValues(seed, countOf(shape)) };
}

/** A new empty folder, gone with all it holds when the scope of `await using` ends. */
export async function withTempDir(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "amalgam-test-"));
  return {
    path,
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true });
    },
  };
}

function bytesOf(tensor: TestTensor): Uint8Array {
  if ("bytes" in tensor) return tensor.bytes;
  const count = countOf(tensor.shape);
  if (tensor.values.length !== count)
    throw new RangeError(`${tensor.values.length} values for shape [${tensor.shape}]`);
  return narrow(tensor.dtype, Float32Array.from(tensor.values));
}

function countOf(shape: readonly number[]): number {
  return shape.reduce((count, dimension) => count * dimension, 1);
}

function shardName(number: number, count: number): string {
  return `model-${String(number).padStart(5, "0")}-of-${String(count).padStart(5, "0")}.safetensors`;
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
