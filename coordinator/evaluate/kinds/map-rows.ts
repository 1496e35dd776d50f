import { setImmediate as nextTurn } from "node:timers/promises";

/** How long rows are worked on before others may have the thread. */
const turnMs = 50;

/**
 * `rows.map(of)` in turns. Many texts take minutes to encode, and meanwhile connections to agents must be kept alive and
 * an interrupt heard. Fails with the signal's reason.
 */
export async function mapRows<Row, Result>(
  rows: readonly Row[],
  of: (row: Row, i: number) => Result,
  signal?: AbortSignal,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  let began = performance.now();
  for (const [i, row] of rows.entries()) {
    results.push(of(row, i));
    if (performance.now() - began < turnMs) continue;
    await nextTurn();
    signal?.throwIfAborted();
    began = performance.now();
  }
  return results;
}
