import type { Table } from "./table.js";

/** What every benchmark is run with. */
export interface BenchContext {
  /** For files; whatever a benchmark puts there may stay, the whole folder goes in the end. */
  readonly folder: string;
  /** Size of a model, about. */
  readonly modelBytes: number;
  /** Rounds that count. */
  readonly runs: number;
  /** A Python interpreter to compare with; what it lacks is skipped. */
  readonly python: string;
  /** Says on the terminal what is going on. */
  readonly say: (text: string) => void;
}

export interface Benchmark {
  readonly name: string;
  run(context: BenchContext): Promise<readonly Table[]>;
}

/** The middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low = Number.NaN, high = low] = sorted.slice(Math.ceil(middle) - 1, Math.floor(middle) + 1);
  return (low + high) / 2;
}

/** The median of `of` over some samples. */
export function medianOf<Sample>(samples: readonly Sample[], of: (sample: Sample) => number): number {
  return median(samples.map(of));
}

/**
 * The median of what each round's first was to its second. Rounds are compared with themselves, so a machine that gets
 * slower meanwhile does not change the ratio.
 */
export function medianRatio<A, B>(
  first: readonly A[],
  second: readonly B[],
  ofFirst: (sample: A) => number,
  ofSecond: (sample: B) => number,
): number {
  return median(first.map((a, i) => ofFirst(a) / ofSecond(second[i] as B)));
}

/**
 * Runs the contenders in turn, round after round, so that whatever else the machine does meets all of them alike. One
 * more round comes first and does not count: it fills caches.
 */
export async function alternate<Samples extends Record<string, unknown>>(
  { runs }: Pick<BenchContext, "runs">,
  contenders: { readonly [Name in keyof Samples]: () => Promise<Samples[Name]> },
): Promise<{ readonly [Name in keyof Samples]: readonly Samples[Name][] }> {
  const names = Object.keys(contenders) as (keyof Samples)[];
  const samples = Object.fromEntries(names.map((name) => [name, []])) as unknown as {
    [Name in keyof Samples]: Samples[Name][];
  };
  for (let round = 0; round <= runs; round += 1) {
    for (const name of names) {
      const sample = await contenders[name]();
      if (round > 0) samples[name].push(sample);
    }
  }
  return samples;
}

/** Runs `work` and says how many seconds it took. */
export async function timed(work: () => unknown): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}
