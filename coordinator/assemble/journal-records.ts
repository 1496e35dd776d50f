/** Version of the journal's format. A journal of another version is refused, never guessed at. */
export const journalVersion = 1;

/** JSON has no word for these; -0 is here because a sum's sign can decide a later division. */
export const oddNumbers: ReadonlyMap<string, number> = new Map([
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
  ["-0", -0],
]);

/** Any number as JSON: itself, or its name for those that JSON cannot hold. */
export function encodeNumber(value: number): number | string {
  return Number.isFinite(value) && !Object.is(value, -0) ? value : Object.is(value, -0) ? "-0" : String(value);
}

/** One result of a statistics pass, after the partial results of all pieces were combined. */
export interface StatisticsEntry {
  /** Into Plan.programs. */
  readonly program: number;
  /** Into Plan.tensors; absent for a statistic of the whole model. */
  readonly tensor?: number | undefined;
  /** The gather's first slot in the program's vector of statistics. */
  readonly slot: number;
  /** What goes there: two numbers for the upper bits of a k-th magnitude, one for everything else. */
  readonly values: readonly number[];
}
