/** How large a batch may be. */
export interface BatchLimits {
  readonly examples: number;
  /** Padding included; an example longer than this has a batch of its own. */
  readonly tokens: number;
}

/**
 * Which examples run together, by number. The longest come first, so that neighbours need little padding and what does
 * not fit in memory fails early; equally long ones keep their order. It follows from lengths and limits alone.
 */
export function planBatches(
  lengths: readonly number[],
  { examples, tokens }: BatchLimits,
): readonly (readonly number[])[] {
  const lengthOf = (example: number): number => lengths[example] ?? 0;
  const order = lengths.map((_, i) => i).sort((a, b) => lengthOf(b) - lengthOf(a) || a - b);
  const batches: number[][] = [];
  let batch: number[] = [];
  for (const example of order) {
    // The first is the longest.
    const longest = lengthOf(batch[0] ?? example);
    if (batch.length > 0 && (batch.length >= examples || longest * (batch.length + 1) > tokens)) {
      batches.push(batch);
      batch = [];
    }
    batch.push(example);
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}

/** Batches of examples that all have the same size, such as images. */
export function evenBatches(count: number, examples: number): readonly (readonly number[])[] {
  return planBatches(new Array<number>(count).fill(0), { examples, tokens: Number.POSITIVE_INFINITY });
}
