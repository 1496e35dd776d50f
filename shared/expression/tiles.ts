import { blockOf, type Division, divisionOf } from "./division.js";
import { binsOf } from "./order-statistics.js";
import type { Schedule } from "./passes.js";

/**
 * Bytes that one tile's inputs and output take together. Small enough to stay in a core's L2 cache between the read,
 * the kernel and the write; at least one block, whatever it takes.
 */
export const tileBytes = 1 << 20;

/** Kernels work on up to this many elements at once, so the last time they may reach nearly as far past the tile. */
export const tileSlack = 32;

/** Elements that are worked on at once: some whole blocks, as blockOf() has them. */
export function tileElements(
  bytesPerElement: number,
  division: Pick<Division, "row" | "columns">,
  schedule: Pick<Schedule, "rowwise" | "columnwise">,
): number {
  const block = blockOf(schedule, division);
  return block * Math.max(1, Math.floor(tileBytes / (bytesPerElement * block)));
}

/** What ranking a row takes, besides its result: the row in f32, two lists of u32, and the counts of its bins. */
function rankingBytes(elements: number): number {
  const mostCountBytes = 1 << 18;
  return 12 * elements + Math.min(mostCountBytes, 8 * elements);
}

/** Control blocks of kernels, spare bins, and whole pages of memory. */
const roundingBytes = 128 << 10;

/**
 * What a worker needs to run a piece: a tile of every tensor, the bins of its counting passes, its column sums, and a
 * block of every value that kernels get ready-made, the bits of `masks` random masks among them.
 */
export function workerBytes(bytesPerElement: number, shape: readonly number[], schedule: Schedule, masks = 0): number {
  const { statistics, prepared, rowwise } = schedule;
  const division = divisionOf(shape);
  const block = blockOf(schedule, division) + tileSlack;
  const gathered = statistics.map(
    ({ gathers, columnSums }) =>
      4 * gathers.reduce((bins, { kind }) => bins + binsOf(kind), 0) + 8 * block * columnSums.length,
  );
  const preparedBytes = 4 * prepared.length * block + (rowwise && prepared.length > 0 ? rankingBytes(block) : 0);
  const maskBytes = (masks * block) / 8;
  const written = bytesPerElement * tileElements(bytesPerElement, division, schedule);
  // A pass that writes nothing fits more elements into a tile: up to all of its bytes are taken.
  const tile = statistics.length === 0 ? written : Math.max(tileBytes, written);
  return tile + bytesPerElement * tileSlack + Math.max(0, ...gathered) + preparedBytes + maskBytes + roundingBytes;
}
