import type { Random } from "../../random.js";
import { quadraticTermCount } from "./quadratic.js";

/** Standard deviation that isotropic points are disturbed by (`luli-git/MAP`, Sampling.py). */
const disturbance = 0.1;
/** Of the points that are not one-hot. */
const isotropicShare = 0.2;

/** As many points as a quadratic has unknowns, twice (Li et al. 2024, section 3.2): (n + 1)(n + 2). */
export function designSize(dimensions: number): number {
  return 2 * quadraticTermCount(dimensions);
}

/**
 * Where a quadratic is learnt from, in the unit cube (Li et al. 2024, section 3.2): one model alone at a time, all models
 * equal, half of these disturbed, and random points. Points at its corners and along its diagonal let the fit be used in
 * all of the cube without going beyond what was seen.
 */
export function design(dimensions: number, count: number, random: Random): number[][] {
  const oneHot = Array.from({ length: Math.min(count, dimensions) }, (_, hot) =>
    Array.from({ length: dimensions }, (_unused, i) => (i === hot ? 1 : 0)),
  );
  const rest = count - oneHot.length;
  const isotropic = Array.from({ length: Math.round(isotropicShare * rest) }, (_, place) => {
    const level = random.uniform();
    const spread = place % 2 === 0 ? 0 : disturbance;
    return Array.from({ length: dimensions }, () => clipped(level + spread * random.normal()));
  });
  const others = Array.from({ length: rest - isotropic.length }, () =>
    Array.from({ length: dimensions }, () => random.uniform()),
  );
  return [...oneHot, ...isotropic, ...others];
}

function clipped(value: number): number {
  return Math.min(1, Math.max(0, value));
}
