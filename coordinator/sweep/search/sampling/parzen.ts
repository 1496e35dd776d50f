import type { Random } from "../random.js";
import { normalCdf } from "./normal-cdf.js";

/**
 * What a good value of one dimension looks like, by those seen (Bergstra et al. 2011, "Algorithms for Hyper-Parameter
 * Optimization", section 4.2). Coordinates are in [0, 1].
 */
export interface Density {
  sample(random: Random): number;
  logDensity(coordinate: number): number;
}

/** From here on older points count for less (Bergstra et al. 2013, the reference implementation). */
const fullWeights = 25;

/** By the age of points: the oldest first, the newest {@link fullWeights} in full. */
function weightsOf(count: number): number[] {
  const fading = count - fullWeights;
  return Array.from({ length: count }, (_, i) =>
    i >= fading ? 1 : (1 + (i * (count - 1)) / Math.max(1, fading - 1)) / count,
  );
}

/** Beyond so many deviations there is nothing. */
const reach = 9;

interface Component {
  readonly mean: number;
  readonly deviation: number;
  readonly weight: number;
  /** Of the normal distribution, within [0, 1]. */
  readonly mass: number;
}

/**
 * A truncated normal distribution at every point, as wide as the larger gap to its neighbours, and a wide one in the middle
 * as prior. On a dimension with steps a coordinate stands for all that is rounded to it.
 *
 * @param step between neighbouring coordinates; undefined where all are possible
 */
export function parzenDensity(points: readonly number[], step?: number): Density {
  const prior = points.length;
  const means = [...points, 0.5];
  const weights = [...weightsOf(points.length), 1];
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const narrowest = 1 / Math.min(100, points.length + 2);
  const order = Uint32Array.from(means, (_, i) => i).sort((a, b) => (means[a] ?? 0) - (means[b] ?? 0) || a - b);
  const components = Array.from(order, (i, place): Component => {
    const mean = means[i] ?? 0;
    const left = mean - (means[order[place - 1] ?? i] ?? mean);
    const right = (means[order[place + 1] ?? i] ?? mean) - mean;
    const deviation = i === prior ? 1 : Math.min(1, Math.max(narrowest, left, right));
    const isInside = mean > reach * deviation && 1 - mean > reach * deviation;
    const mass = isInside ? 1 : normalCdf((1 - mean) / deviation) - normalCdf(-mean / deviation);
    return { mean, deviation, weight: (weights[i] ?? 0) / total, mass };
  });
  return {
    sample(random) {
      const { mean, deviation } = pick(components, random);
      for (;;) {
        const coordinate = mean + deviation * random.normal();
        if (coordinate >= 0 && coordinate <= 1) return coordinate;
      }
    },
    logDensity(coordinate) {
      let density = Number.MIN_VALUE;
      for (const { mean, deviation, weight, mass } of components) {
        const z = (coordinate - mean) / deviation;
        const half = (step ?? 0) / 2 / deviation;
        if (Math.abs(z) - half > reach) continue;
        const share =
          step === undefined
            ? Math.exp(-0.5 * z * z) / (Math.sqrt(2 * Math.PI) * deviation)
            : normalCdf(z + half) - normalCdf(z - half);
        density += (weight * share) / mass;
      }
      return Math.log(density);
    },
  };
}

/** How often each choice came up, and as prior one more trial that is shared by all. Coordinates as {@link parzenDensity}. */
export function choiceDensity(points: readonly number[], choices: number): Density {
  const placeOf = (coordinate: number): number => Math.min(choices - 1, Math.floor(coordinate * choices));
  const counts = new Array<number>(choices).fill(1 / choices);
  const weights = weightsOf(points.length);
  for (const [i, point] of points.entries()) {
    const place = placeOf(point);
    counts[place] = (counts[place] ?? 0) + (weights[i] ?? 0);
  }
  const total = counts.reduce((sum, count) => sum + count, 0);
  const shares = counts.map((count, place) => ({ place, weight: count / total }));
  return {
    sample: (random) => (pick(shares, random).place + 0.5) / choices,
    logDensity: (coordinate) => Math.log(shares[placeOf(coordinate)]?.weight ?? 0),
  };
}

function pick<T extends { readonly weight: number }>(weighted: readonly T[], random: Random): T {
  let left = random.uniform();
  for (const one of weighted) {
    left -= one.weight;
    if (left < 0) return one;
  }
  return weighted.at(-1) as T;
}
