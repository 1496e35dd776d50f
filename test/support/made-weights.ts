import { crc32 } from "node:zlib";
import type { TestTensor } from "./checkpoints.js";

/**
 * The weights that the scripts in test/conformance/graphs give to a model: element i of a tensor is a function of its name
 * and i. See weights.py, which has the same in Python.
 */
export function madeWeight(name: string, shape: readonly number[]): Float32Array {
  const count = shape.reduce((product, size) => product * size, 1);
  const start = crc32(name);
  const spread = shape.length >= 2 ? Math.sqrt(3 / (shape.at(-1) ?? 1)) : 0.2;
  const isNorm = shape.length < 2 && (name.endsWith("norm.weight") || name.includes("LayerNorm.weight"));
  const values = new Float32Array(count);
  // A plain loop: by Float32Array.from() this took six times as long.
  for (let i = 0; i < count; i++) {
    let h = (Math.imul(i, 0x9e3779b1) + start) >>> 0;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h = (h ^ (h >>> 16)) >>> 0;
    values[i] = (h / 2 ** 31 - 1) * spread + (isNorm ? 1 : 0);
  }
  return values;
}

/** By name, for {@link writeCheckpoint}. */
export function madeWeights(shapes: Readonly<Record<string, readonly number[]>>): Map<string, TestTensor> {
  return new Map(
    Object.entries(shapes).map(([name, shape]) => [name, { dtype: "F32", shape, values: madeWeight(name, shape) }]),
  );
}
