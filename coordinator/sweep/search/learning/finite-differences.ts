import type { Box } from "./box.js";

// The gradient that forward passes give: the model is run a little to either side along each coefficient. The same
// weights turn losses into a derivative, and what the model answered into a column of the Jacobian.

/** Two places to look at for the derivative along one coefficient, as steps from where it is; neither is 0. */
export interface Probe {
  readonly dimension: number;
  readonly steps: readonly [number, number];
}

/**
 * Both sides at ± epsilon; near an end of the range epsilon and 2 epsilon inwards, which is as exact to second order.
 * Where the range is narrow, epsilon is a quarter of it. Coefficients whose range is a single value have none.
 */
export function probesAt(box: Box, x: Float64Array, epsilon: number): readonly Probe[] {
  return Array.from(x, (value, dimension): Probe => {
    const [low, high] = [box.low[dimension] ?? value, box.high[dimension] ?? value];
    const step = Math.min(epsilon, (high - low) / 4);
    if (value - step < low) return { dimension, steps: [step, 2 * step] };
    if (value + step > high) return { dimension, steps: [-step, -2 * step] };
    return { dimension, steps: [-step, step] };
  }).filter(({ steps: [step] }) => step !== 0);
}

export function placeOf(x: Float64Array, dimension: number, step: number): Float64Array {
  return x.map((value, i) => (i === dimension ? value + step : value));
}

/** By what to multiply the values at the centre and at the probe's two places; their products add up to the derivative. */
export type DerivativeWeights = readonly [center: number, first: number, second: number];

/**
 * The slope at the centre of the parabola through three places. Where one of the two did not come to anything, of the
 * straight line through the other; where neither did, undefined.
 */
export function derivativeWeights(
  { steps: [a, b] }: Probe,
  usable: readonly [boolean, boolean],
): DerivativeWeights | undefined {
  if (usable[0] && usable[1]) return [-(a + b) / (a * b), -b / (a * (a - b)), -a / (b * (b - a))];
  if (usable[0]) return [-1 / a, 1 / a, 0];
  if (usable[1]) return [-1 / b, 0, 1 / b];
  return undefined;
}

/** Of numbers. A place whose weight is 0 may be NaN. */
export function derivativeOf(weights: DerivativeWeights, center: number, first: number, second: number): number {
  let sum = 0;
  for (const [weight, value] of [
    [weights[0], center] as const,
    [weights[1], first] as const,
    [weights[2], second] as const,
  ])
    if (weight !== 0) sum += weight * value;
  return sum;
}

/** Of what a model answered: a column of the Jacobian, in f32 like the answers. */
export function columnOf(
  weights: DerivativeWeights,
  center: Float32Array,
  first: Float32Array | undefined,
  second: Float32Array | undefined,
): Float32Array {
  const column = new Float32Array(center.length);
  for (let i = 0; i < column.length; i += 1)
    column[i] = derivativeOf(weights, center[i] ?? 0, first?.[i] ?? 0, second?.[i] ?? 0);
  return column;
}
