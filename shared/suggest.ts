/** Longer words are nobody's typing slip, and the comparison costs the product of both lengths. */
const maxWordLength = 64;

/**
 * The candidate that was probably meant by a misspelt word, for "did you mean". Case does not count and neither does
 * `-` for `_`; beyond that, one slip per three letters is forgiven: a letter too many, too few, wrong, or swapped with
 * its neighbour. Among equally near candidates the first one wins; undefined when none is near.
 */
export function suggest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > maxWordLength) return undefined;
  const wanted = plain(word);
  let best: string | undefined;
  let bestSlips = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    if (candidate.length > maxWordLength) continue;
    const slips = slipsBetween(wanted, plain(candidate));
    const forgiven = Math.floor(Math.max(wanted.length, candidate.length) / 3);
    if (slips <= forgiven && slips < bestSlips) {
      best = candidate;
      bestSlips = slips;
    }
  }
  return best;
}

function plain(word: string): string {
  return word.toLowerCase().replaceAll("-", "_");
}

/**
 * Damerau-Levenshtein distance in its "optimal string alignment" form: the fewest insertions, deletions, replacements
 * and swaps of neighbours that turn `from` into `to`, no letter touched twice.
 */
function slipsBetween(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      current[column] = Math.min(
        at(last, column) + 1,
        at(current, column - 1) + 1,
        at(last, column - 1) + (same ? 0 : 1),
        swapped ? at(beforeLast, column - 2) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    beforeLast = last;
    last = current;
  }
  return at(last, to.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}
