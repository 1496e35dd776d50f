import { dominatesLosses } from "./pareto.js";
import type { Random } from "./random.js";

type Losses = readonly number[];

/** Samples for more than three objectives: the standard error is below 0.2 % of the box. */
const samples = 100_000;

/**
 * How much of the space below a reference point a front dominates (Zitzler and Thiele 1998). Points that are not below the
 * reference in every objective count for nothing. Exact for up to three objectives; beyond, estimated from `samples` random
 * points of the box between the front's least losses and the reference.
 */
export function hypervolume(losses: readonly Losses[], reference: Losses, random?: Random): number {
  const inside = losses.filter((one) => reference.every((limit, i) => (one[i] ?? limit) < limit));
  const front = inside.filter((one) => !inside.some((other) => dominatesLosses(other, one)));
  if (front.length === 0) return 0;
  if (reference.length <= 3) return exact(front, reference);
  if (random === undefined) throw new TypeError("The hypervolume of more than three objectives needs random numbers");
  return estimate(front, reference, random);
}

/** By slices along the last objective, each as thick as the step to the next point's. */
function exact(front: readonly Losses[], reference: Losses): number {
  const last = reference.length - 1;
  const limit = reference[last] ?? 0;
  if (last === 0) return limit - Math.min(...front.map(([loss = limit]) => loss));
  const rising = front.toSorted((a, b) => (a[last] ?? 0) - (b[last] ?? 0));
  let volume = 0;
  for (const [i, point] of rising.entries()) {
    const thickness = (rising[i + 1]?.[last] ?? limit) - (point[last] ?? 0);
    if (thickness > 0) volume += thickness * exact(rising.slice(0, i + 1), reference.slice(0, last));
  }
  return volume;
}

function estimate(front: readonly Losses[], reference: Losses, random: Random): number {
  const least = reference.map((limit, i) => Math.min(...front.map((one) => one[i] ?? limit)));
  const box = reference.reduce((volume, limit, i) => volume * (limit - (least[i] ?? limit)), 1);
  let hits = 0;
  for (let sample = 0; sample < samples; sample += 1) {
    const at = reference.map((limit, i) => limit - random.uniform() * (limit - (least[i] ?? limit)));
    if (front.some((one) => one.every((loss, i) => loss <= (at[i] ?? 0)))) hits += 1;
  }
  return (box * hits) / samples;
}
