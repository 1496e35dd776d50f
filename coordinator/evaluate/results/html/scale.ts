/** Maps values of an axis to percent of its length. */
export interface Scale {
  readonly ticks: readonly number[];
  /** Decimals that tell the ticks apart. */
  readonly decimals: number;
  toPercent(value: number): number;
}

/**
 * An axis over all finite values, with three to six ticks at 1, 2 or 5 times a power of ten and a little room at both ends.
 * Equal values get an axis around them.
 */
export function scaleOver(values: readonly number[], include: readonly number[] = []): Scale {
  const finite = [...values, ...include].filter(Number.isFinite);
  const [low, high] = finite.length === 0 ? [0, 1] : [least(finite), -least(finite.map((value) => -value))];
  const span = high - low || Math.abs(high) * 0.1 || 1;
  const [begin, end] = [low - span * 0.06, high + span * 0.06];
  const step = niceStep((end - begin) / 6);
  const first = Math.ceil(begin / step);
  const count = Math.floor(end / step) - first + 1;
  return {
    ticks: Array.from({ length: count }, (_, i) => (first + i) * step),
    decimals: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)),
    toPercent: (value) => ((value - begin) / (end - begin)) * 100,
  };
}

function least(values: readonly number[]): number {
  return values.reduce((a, b) => Math.min(a, b));
}

/** The smallest of 1, 2, 5 and 10 times a power of ten that is not below `rough`. */
function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
}
