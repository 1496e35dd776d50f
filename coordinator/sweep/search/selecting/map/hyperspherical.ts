import type { Random } from "../../random.js";

// Directions from the base in the positive orthant, as n − 1 angles in [0, π/2]: φ_i = atan2(|(x_{i+1} … x_n)|, x_i).

const rightAngle = Math.PI / 2;

/** Of a place other than the origin. */
export function anglesOf(x: readonly number[]): number[] {
  return x.slice(0, -1).map((value, i) => Math.atan2(Math.hypot(...x.slice(i + 1)), value));
}

/** The place in a direction at the distance 1. */
export function directionOf(angles: readonly number[]): number[] {
  let rest = 1;
  const direction = angles.map((angle) => {
    const value = rest * Math.cos(angle);
    rest *= Math.sin(angle);
    return value;
  });
  return [...direction, rest];
}

/** As many bins per angle as Li et al. take: 4 for fewer than 4 numbers, else 2. */
export function binsPerAngle(dimensions: number): number {
  return dimensions < 4 ? 4 : 2;
}

/** The bin of a direction: its place along every angle. */
export function binOf(x: readonly number[], bins: number): number[] {
  return anglesOf(x).map((angle) => Math.min(bins - 1, Math.floor((angle / rightAngle) * bins)));
}

/** A random place in a bin: angles uniform, at a share of the way from the origin to where the unit cube ends. */
export function placeIn(bin: readonly number[], bins: number, share: number, random: Random): number[] {
  const direction = directionOf(bin.map((place) => ((place + random.uniform()) / bins) * rightAngle));
  const edge = 1 / Math.max(...direction);
  return direction.map((value) => share * edge * value);
}
