/** Elements [begin, end) of a tensor. */
export interface ElementRange {
  readonly begin: number;
  readonly end: number;
}

/** The parts of `whole` that no range covers. The ranges are in order and do not overlap. */
export function missingRanges(ranges: readonly ElementRange[], whole: ElementRange): ElementRange[] {
  const missing: ElementRange[] = [];
  let at = whole.begin;
  for (const { begin, end } of ranges) {
    if (begin > at) missing.push({ begin: at, end: Math.min(begin, whole.end) });
    at = Math.max(at, end);
    if (at >= whole.end) return missing;
  }
  if (at < whole.end) missing.push({ begin: at, end: whole.end });
  return missing;
}
