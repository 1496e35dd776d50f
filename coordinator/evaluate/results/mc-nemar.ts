/**
 * The exact two-sided p of McNemar's test: how likely a split at least as uneven is when each of the examples that the
 * two models answered differently is a fair coin. 1 when there are none. (McNemar 1947; Dietterich 1998, section 3.1.)
 */
export function mcNemar(wins: number, losses: number): number {
  const total = wins + losses;
  const fewer = Math.min(wins, losses);
  let logTerm = -total * Math.LN2;
  let tail = 0;
  for (let k = 0; k <= fewer; k++) {
    tail += Math.exp(logTerm);
    logTerm += Math.log((total - k) / (k + 1));
  }
  return Math.min(1, 2 * tail);
}
