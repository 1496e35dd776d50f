import { coordinateOf, type Dimension, fromUnit, startPoint, valueAt } from "../../space.js";
import { Proposed, resolutionOf } from "../finite.js";
import { numberOption } from "../options.js";
import { compareOutcomes, isUsable } from "../order.js";
import type { Random } from "../random.js";
import { type Known, rolling } from "../rolling.js";
import type { OptionValues, Outcome, SearchContext, SearchKind } from "../searching.js";
import { choiceDensity, type Density, parzenDensity } from "./parzen.js";
import { SobolSequence } from "./sobol-sequence.js";

/** More good trials than this make their density no sharper (Bergstra et al. 2013). */
const maxGood = 25;

/** Tree-structured Parzen estimator: where good trials are dense and others are not. */
export const tpe: SearchKind = {
  name: "tpe",
  summary: "Tries what good trials have in common and others have not, dimension by dimension (Bergstra et al. 2011)",
  options: {
    // Trials that fill the space evenly, before there is anything to learn from; the first is the start.
    initial: { kind: "integer", default: 10, low: 1, high: 10_000 },
    // Share of trials that are good ones, at most 25 of them.
    gamma: { kind: "number", default: 0.25, low: 0.01, high: 0.9 },
    // Drawn from the density of the good ones for every dimension.
    candidates: { kind: "integer", default: 24, low: 1, high: 10_000 },
  },
  ends: false,
  *search(context, options) {
    const { space } = context;
    const initial = numberOption(options, "initial");
    const evenly = new SobolSequence(space.length, context.random("tpe initial"));
    const random = context.random("tpe");
    const proposed = new Proposed(space);
    let proposals = 0;
    let isTold = false;
    yield* rolling(context, (known) => {
      if (!isTold) isTold = noteFailure(context, known.outcomes.at(-1));
      proposals += 1;
      const draw = proposals > initial ? sampler(context, options, known, random) : () => evenly.next();
      const point = proposed.fresh(() =>
        proposals === 1 && !proposed.has(startPoint(space)) ? startPoint(space) : fromUnit(space, draw()),
      );
      return point && { point, ...(proposals > initial ? {} : { label: "initial" }) };
    });
    return undefined;
  },
};

/** Says whether there was one to tell of; further ones would be told the same. */
function noteFailure({ note }: SearchContext, outcome: Outcome | undefined): boolean {
  if (outcome === undefined || isUsable(outcome)) return false;
  const what = `Trial ${outcome.trial} failed`;
  note(`${what}: places of failed trials are avoided like those under way, and their scores stay unknown`);
  return true;
}

/**
 * Draws points with the largest ratio of the two densities. Trials under way count among those that are not good, as
 * "constant liars" (Ginsbourger et al. 2010), so that trials that run at once are apart. So do those that failed.
 */
function sampler({ space }: SearchContext, options: OptionValues, known: Known, random: Random): () => number[] {
  const candidates = numberOption(options, "candidates");
  const usable = known.outcomes.filter(isUsable);
  const goodCount = Math.min(maxGood, Math.ceil(numberOption(options, "gamma") * usable.length));
  const good = new Set(usable.toSorted(compareOutcomes).slice(0, goodCount));
  const others = [...known.outcomes.filter((outcome) => !good.has(outcome)), ...known.pending];
  // Weights go by age, so the good ones stay in the order of their trials too.
  const goodPoints = known.outcomes.filter((outcome) => good.has(outcome)).map(({ point }) => point);
  const otherPoints = others.map(({ point }) => point);
  const pairs = space.map((dimension) => {
    const coordinates = (points: typeof goodPoints): number[] =>
      points.map((point) => coordinateOf(dimension, point[dimension.name] ?? 0));
    const likely = densityOf(dimension, coordinates(goodPoints));
    const other = densityOf(dimension, coordinates(otherPoints));
    const score = (coordinate: number): number => likely.logDensity(coordinate) - other.logDensity(coordinate);
    return { dimension, likely, score: resolutionOf(dimension) === undefined ? score : remembered(score) };
  });
  return () =>
    pairs.map(({ dimension, likely, score }) => {
      let best = { coordinate: 0, score: Number.NEGATIVE_INFINITY };
      for (let i = 0; i < candidates; i += 1) {
        const coordinate = coordinateOf(dimension, valueAt(dimension, likely.sample(random)));
        const its = score(coordinate);
        if (its > best.score) best = { coordinate, score: its };
      }
      return best.coordinate;
    });
}

/** Where few values come up again and again, as they do when points that are known are drawn again. */
function remembered(score: (coordinate: number) => number): (coordinate: number) => number {
  const known = new Map<number, number>();
  return (coordinate) => {
    const before = known.get(coordinate);
    if (before !== undefined) return before;
    const its = score(coordinate);
    known.set(coordinate, its);
    return its;
  };
}

function densityOf(dimension: Dimension, coordinates: readonly number[]): Density {
  if (dimension.kind === "choice") return choiceDensity(coordinates, dimension.values.length);
  return parzenDensity(coordinates, resolutionOf(dimension));
}
