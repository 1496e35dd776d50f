/** The bytes [begin, end) of one of a unit's source files. */
export interface Extent {
  /** Into the unit's sources. */
  readonly file: number;
  readonly begin: number;
  readonly end: number;
}

/** What a unit is going to read, as far as that is known: nothing beyond it is fetched ahead. */
export class Extents {
  /** By file; sorted, neither overlapping nor touching. */
  readonly #byFile = new Map<number, { begin: number; end: number }[]>();

  constructor(extents: Iterable<Extent>) {
    const sorted = [...extents].sort((a, b) => a.file - b.file || a.begin - b.begin);
    for (const { file, begin, end } of sorted) {
      const known = this.#byFile.get(file) ?? [];
      this.#byFile.set(file, known);
      const last = known.at(-1);
      if (last !== undefined && begin <= last.end) last.end = Math.max(last.end, end);
      else known.push({ begin, end });
    }
  }

  /** The end of the extent that the position is in; undefined when it is in none. */
  endAt(file: number, position: number): number | undefined {
    const known = this.#byFile.get(file) ?? [];
    let low = 0;
    let high = known.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((known[middle]?.begin ?? 0) <= position) low = middle + 1;
      else high = middle;
    }
    const found = known[low - 1];
    return found !== undefined && position < found.end ? found.end : undefined;
  }
}
