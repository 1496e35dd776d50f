import type { Schedule } from "./passes.js";
import { blockElements, lowerBins } from "./statistics.js";

/**
 * Bytes that one tile's inputs and output take together. Small enough to stay in a core's L2 cache between the read,
 * the kernel and the write; at least one block, whatever it takes.
 */
export const tileBytes = 1 << 20;

/** Kernels work on whole vectors, so the last one may reach this many elements past the tile. */
export const tileSlack = 16;

/** Elements that are worked on at once: some whole blocks, or whole rows in programs with row reductions. */
export function tileElements(
  bytesPerElement: number,
  rowElements: number,
  { rowwise }: Pick<Schedule, "rowwise">,
): number {
  const block = rowwise ? rowElements : blockElements;
  return block * Math.max(1, Math.floor(tileBytes / (bytesPerElement * block)));
}

/** What a worker holds while it runs a piece: a tile of every tensor, and the bins of its counting passes. */
export function workerBytes(bytesPerElement: number, rowElements: number, schedule: Schedule): number {
  const counting = schedule.statistics.map(
    ({ gathers }) => gathers.filter(({ kind }) => kind === "upperBits" || kind === "lowerBits").length,
  );
  const bins = 4 * lowerBins * Math.max(0, ...counting);
  return (tileElements(bytesPerElement, rowElements, schedule) + tileSlack) * bytesPerElement + bins;
}
