/**
 * The quantile of sorted numbers, linear between neighbours (Hyndman and Fan 1996, definition 7): what NumPy and R give
 * by default. NaN of nothing.
 */
export function quantile(sorted: Float64Array, probability: number): number {
  const place = (sorted.length - 1) * probability;
  const below = Math.floor(place);
  const low = sorted[below] ?? Number.NaN;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] ?? Number.NaN;
  return low === high ? low : low + (high - low) * (place - below);
}
