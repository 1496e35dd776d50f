import type { Dtype } from "../../shared/checkpoint/dtypes.js";
import type { PlannedInput, StoredTensor } from "./types.js";

/** The dtype that a program sees: what is put together as it is read comes as F32. */
export function inputDtype({ dtype, updates, rows }: PlannedInput): Dtype {
  return updates === undefined && rows === undefined ? dtype : "F32";
}

/** Bytes are taken in this many at a time while an input is put together. */
const stagingBytes = 256 << 10;

/** What an agent holds to put an input together, besides its tile: staging, and low-rank factors as F32. */
export function assemblyBytes(input: PlannedInput, columns: number): number {
  if (input.updates === undefined && input.rows === undefined) return 0;
  const updates = [input, ...(input.rows?.tensors ?? [])].flatMap((tensor) => tensor.updates ?? []);
  const factors = updates.map(({ rank, transposed }) => {
    return 4 * rank * Math.ceil(columns / 16) * 16 + (transposed ? 2 : 1) * stagingBytes;
  });
  const combined = input.rows === undefined ? 0 : Math.max(stagingBytes, 4 * columns);
  return stagingBytes + combined + factors.reduce((total, bytes) => total + bytes, 0);
}

/** Every stored tensor that an input may read from, low-rank factors included. */
export function storedTensorsOf(input: PlannedInput): readonly StoredTensor[] {
  const roots: readonly StoredTensor[] = input.rows === undefined ? [input] : input.rows.tensors;
  return roots.flatMap((tensor) => [tensor, ...(tensor.updates ?? []).flatMap(({ a, b }) => [a, b])]);
}
