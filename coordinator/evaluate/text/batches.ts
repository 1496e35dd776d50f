/** How large a batch may be. */
export interface BatchLimits {
  readonly examples: number;
  /** Padding included; an example longer than this has a batch of its own. */
  readonly tokens: number;
  /** How often the model is run for a batch: once more for each token that it generates. @default 1 */
  readonly runs?: number;
}

/**
 * What a run of a model takes, whatever is in the batch, in tokens of a long one. Encoders of 22 and 109 million weights
 * and a decoder of 135 million take what 20 to 30 tokens do, most of it for reading and widening weights.
 */
const runTokens = 32;

/**
 * Which examples run together, by number. The longest come first, so that neighbours need little padding and what does
 * not fit in memory fails early; equally long ones keep their order. What could run together is cut further where that
 * saves more padding than another run takes. It follows from lengths and limits alone.
 */
export function planBatches(
  lengths: readonly number[],
  { examples, tokens, runs = 1 }: BatchLimits,
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
  return batches.flatMap((fitting) => cutPadding(fitting, lengthOf, runs * runTokens));
}

/** Batches of examples that all have the same size, such as images. */
export function evenBatches(count: number, examples: number): readonly (readonly number[])[] {
  return planBatches(new Array<number>(count).fill(0), { examples, tokens: Number.POSITIVE_INFINITY });
}

/**
 * Cuts a batch, the longest first, so that tokens, padding, and `batchTokens` for each batch are the fewest together; of
 * equals the one with fewer batches at its end. By dynamic programming over the places where lengths change: a cut
 * anywhere else pads more.
 */
function cutPadding(
  batch: readonly number[],
  lengthOf: (example: number) => number,
  batchTokens: number,
): readonly (readonly number[])[] {
  const lengths = batch.map(lengthOf);
  const cuts = [...lengths.keys()].filter((at) => lengths[at] !== lengths[at - 1]);
  cuts.push(batch.length);
  /** For the examples before each cut: what they take at best, and the cut at which their last batch begins. */
  const best: { readonly tokens: number; readonly from: number }[] = [{ tokens: 0, from: 0 }];
  for (const [end, until] of cuts.entries()) {
    if (end === 0) continue;
    let [least, from] = [Number.POSITIVE_INFINITY, 0];
    for (let begin = end - 1; begin >= 0; begin -= 1) {
      const [at, middle] = [cuts[begin] ?? 0, cuts[(begin + end) >> 1] ?? 0];
      const longest = lengths[at] ?? 0;
      // Two batches would be better, and still more so of any that began before: thousands of lengths take no time.
      if ((longest - (lengths[middle] ?? 0)) * (until - middle) > batchTokens) break;
      const total = (best[begin]?.tokens ?? 0) + batchTokens + longest * (until - at);
      if (total <= least) [least, from] = [total, begin];
    }
    best.push({ tokens: least, from });
  }
  const batches: (readonly number[])[] = [];
  for (let end = cuts.length - 1; end > 0; end = best[end]?.from ?? 0) {
    batches.push(batch.slice(cuts[best[end]?.from ?? 0], cuts[end]));
  }
  return batches.reverse();
}
