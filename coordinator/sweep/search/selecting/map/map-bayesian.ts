import { fromUnit } from "../../../space.js";
import { numberOption, optionalNumber } from "../../options.js";
import type { SearchContext, SearchKind } from "../../searching.js";
import { binProbabilities, draw } from "./bin-scores.js";
import { confirmFront, fitObjectives, lossesOf, type Measured, measure } from "./confirm.js";
import { design, designSize } from "./design.js";
import { binOf, binsPerAngle, placeIn } from "./hyperspherical.js";
import { mapOptions, refusesQuadratic, settingsOf } from "./map-options.js";
import { quadraticTermCount } from "./quadratic.js";

/** Of the way from the base to the end of the ranges; Li et al. take a radius of .2 to .8. */
const nearestShare = 0.2;
const farthestShare = 0.8;
/** There are 2^(n − 1) bins, and each wants points. */
const maxDimensions = 12;

export const mapBayesian: SearchKind = {
  name: "map-bayesian",
  summary: "MAP that measures where its surrogates are least sure, in several rounds (Li et al. 2024, Bayesian MAP)",
  options: {
    /** That the first fit is made of. Default: a quarter more than a quadratic has unknowns. */
    initial: { kind: "integer", low: 3, high: 100_000 },
    rounds: { kind: "integer", default: 3, low: 1, high: 1000 },
    /** Of each round. Default: as many as make (n + 1)(n + 2) in all. */
    points: { kind: "integer", low: 1, high: 100_000 },
    ...mapOptions,
  },
  front: true,
  refuses({ space }) {
    if (space.length > maxDimensions || space.length < 2) {
      return `map-bayesian chooses directions of 2 to ${maxDimensions} numbers, and this recipe has ${space.length}: take ${space.length < 2 ? "map" : "map-nested or map"}`;
    }
    return refusesQuadratic(space, "map-bayesian");
  },
  *search(context, options) {
    const { space } = context;
    const domain = { space, pointAt: (unit: readonly number[]) => fromUnit(space, unit) };
    const settings = settingsOf(options);
    const rounds = numberOption(options, "rounds");
    const initial = optionalNumber(options, "initial") ?? Math.ceil(1.25 * quadraticTermCount(space.length));
    const rest = Math.max(rounds, designSize(space.length) - initial);
    const points = optionalNumber(options, "points") ?? Math.ceil(rest / rounds);

    const first = design(space.length, initial, context.random("map design"));
    let measured = yield* measure(context, domain, first, "design");
    for (let round = 1; round <= rounds && measured.length > 0; round += 1) {
      const units = leastSure(context, measured, { link: settings.link, count: points, round });
      measured = [...measured, ...(yield* measure(context, domain, units, `round ${round}`))];
    }
    if (measured.length === 0) return undefined;
    return yield* confirmFront(context, domain, measured, settings);
  },
};

/** Places in directions where the surrogates are wrong, or their error is. */
function leastSure(
  context: SearchContext,
  measured: readonly Measured[],
  { link, count, round }: { readonly link: string; readonly count: number; readonly round: number },
): number[][] {
  const random = context.random(`map round ${round}`);
  const bins = allBins(context.space.length);
  const probabilities = binProbabilities(errorsByBin(context, measured, bins, link), random);
  const perAngle = binsPerAngle(context.space.length);
  return Array.from({ length: count }, () => {
    const bin = bins[draw(probabilities, random)] ?? [];
    return placeIn(bin, perAngle, nearestShare + (farthestShare - nearestShare) * random.uniform(), random);
  });
}

/** Squared errors of the surrogates by direction, mean over the objectives, each as a share of its variance. */
function errorsByBin(
  { objectives, space }: SearchContext,
  measured: readonly Measured[],
  bins: readonly (readonly number[])[],
  link: string,
): number[][] {
  const { predict } = fitObjectives(objectives, measured, link);
  const variances = Array.from({ length: objectives }, (_, objective) => varianceOf(lossesOf(measured, objective)));
  const places = new Map(bins.map((bin, i) => [bin.join(), i]));
  const errors: number[][] = bins.map(() => []);
  for (const { unit, outcome } of measured) {
    const { losses } = predict(unit);
    const shares = losses.map((loss, i) => (loss - (outcome.losses[i] ?? 0)) ** 2 / (variances[i] || 1));
    const bin = places.get(binOf(unit, binsPerAngle(space.length)).join());
    if (bin !== undefined) errors[bin]?.push(shares.reduce((sum, share) => sum + share, 0) / objectives);
  }
  return errors;
}

/** All combinations of a place along each angle. */
function allBins(dimensions: number): number[][] {
  let bins: number[][] = [[]];
  for (let angle = 1; angle < dimensions; angle += 1) {
    bins = bins.flatMap((bin) => Array.from({ length: binsPerAngle(dimensions) }, (_, place) => [...bin, place]));
  }
  return bins;
}

function varianceOf(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
}
