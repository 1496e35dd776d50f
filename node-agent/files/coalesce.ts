/** A range that somebody waits for. */
export interface Wanted {
  readonly offset: number;
  readonly length: number;
}

/** Ranges that one request brings, by offset, and what it asks for. */
export interface Request<W extends Wanted> extends Wanted {
  readonly wanted: readonly W[];
}

/** What one request asks for at most: long enough that its round trip no longer counts. */
export const maxRequestBytes = 8 << 20;
/** Bytes between two ranges that are read and thrown away rather than asking twice. */
const maxGapBytes = 128 << 10;
/** Of what a request asks for, this much may be thrown away. */
const maxWaste = 1 / 8;

/** Puts ranges of one file together into few requests, in the file's order. A range is never divided. */
export function coalesce<W extends Wanted>(ranges: readonly W[]): readonly Request<W>[] {
  const requests: { offset: number; length: number; waste: number; wanted: W[] }[] = [];
  for (const range of ranges.toSorted((a, b) => a.offset - b.offset)) {
    const last = requests.at(-1);
    const end = range.offset + range.length;
    if (last !== undefined) {
      const gap = Math.max(0, range.offset - (last.offset + last.length));
      const length = Math.max(last.length, end - last.offset);
      const waste = last.waste + gap;
      if (length <= maxRequestBytes && gap <= maxGapBytes && waste <= length * maxWaste) {
        last.wanted.push(range);
        Object.assign(last, { length, waste });
        continue;
      }
    }
    requests.push({ offset: range.offset, length: range.length, waste: 0, wanted: [range] });
  }
  return requests;
}
