import { fromUnit, type Space, startPoint, toUnit } from "../../space.js";
import { usableOf } from "../failures.js";
import { Proposed, resolutionOf } from "../finite.js";
import { booleanOption, numberOption, optionalNumber } from "../options.js";
import { isUsable } from "../order.js";
import {
  evaluate,
  type OptionValues,
  type Outcome,
  type SearchContext,
  type Searching,
  type SearchKind,
  type SearchResult,
} from "../searching.js";
import { CovarianceAdaptation, defaultPopulation } from "./covariance-adaptation.js";
import { byPenalizedLoss } from "./penalty.js";

/** Decomposing a larger covariance takes more than a second a generation. */
export const maxCovarianceDimensions = 500;

/** So many generations without a point that is new: a small space has been searched. */
export const staleGenerations = 20;

/** IPOP doubles the population at every restart; up to 64 times the first one. */
const maxDoublings = 6;

/** First standard deviation of a choice: its values have no order, so that all of them must be in reach. */
const firstChoiceDeviation = 0.5;

/** Standard deviation of a coordinate that is rounded, in shares of its step: leaves it in one trial of a hundred or more. */
const leastRoundedDeviation = 0.2;

const options: SearchKind["options"] = {
  // λ, points in a generation. Default: 4 + ⌊3 ln n⌋.
  population: { kind: "integer", low: 2, high: 100_000 },
  // First standard deviation as a share of each range; the optimum should be within three of the start.
  sigma: { kind: "number", default: 1 / 6, low: 1e-6, high: 10 },
  // Starts again elsewhere, with twice the population, when it has converged; else it ends.
  restart: { kind: "boolean", default: true },
  // Converged: no coordinate varies by more than this share of its range, or losses by less than 1e-12.
  tolerance: { kind: "number", default: 1e-8, low: 1e-14, high: 0.1 },
  // Runs the mean of every generation too: it is often better than all that it is the mean of, and so is the last one.
  mean: { kind: "boolean", default: false },
};

export const cmaEs: SearchKind = {
  name: "cma-es",
  summary:
    "A normal distribution that learns its shape from what is good (Hansen 2016), restarted (Auger and Hansen 2005)",
  options,
  ends: false,
  refuses: ({ space }) =>
    space.length > maxCovarianceDimensions
      ? `It learns how any two dimensions go together, for at most ${maxCovarianceDimensions} of them, and there are ${space.length}: use "sep-cma-es"`
      : undefined,
  search: (context, values) => search(context, values, false),
};

export const sepCmaEs: SearchKind = {
  name: "sep-cma-es",
  summary: "CMA-ES that learns the scale of each dimension by itself, for many of them (Ros and Hansen 2008)",
  options,
  ends: false,
  search: (context, values) => search(context, values, true),
};

function* search(
  context: SearchContext,
  values: OptionValues,
  separable: boolean,
): Searching<SearchResult | undefined> {
  const { space, note } = context;
  const random = context.random("cma-es");
  const population = optionalNumber(values, "population") ?? defaultPopulation(space.length);
  const memory: Memory = { proposed: new Proposed(space), stale: 0, generation: 0 };
  let start = toUnit(space, startPoint(space));
  for (let descent = 0; ; descent += 1) {
    const lambda = population * 2 ** Math.min(descent, maxDoublings);
    const strategy = new CovarianceAdaptation(start, numberOption(values, "sigma"), lambda, separable);
    const why = yield* descend(context, values, strategy, lambda, memory);
    if (memory.stale >= staleGenerations) {
      note(`Ended: ${staleGenerations} generations brought no point that is new`);
      return undefined;
    }
    if (!booleanOption(values, "restart")) {
      note(`Ended: ${why}`);
      return undefined;
    }
    note(`Restarted after generation ${memory.generation}: ${why}`);
    start = start.map(() => random.uniform());
  }
}

interface Memory {
  readonly proposed: Proposed;
  stale: number;
  generation: number;
}

/** Generations until one has converged. Says how. */
function* descend(
  context: SearchContext,
  values: OptionValues,
  strategy: CovarianceAdaptation,
  lambda: number,
  memory: Memory,
): Searching<string> {
  const { space } = context;
  const random = context.random(`cma-es ${memory.generation}`);
  const rounded = space.map((dimension) => {
    const resolution = resolutionOf(dimension);
    return resolution === undefined ? undefined : leastRoundedDeviation * resolution;
  });
  const recent: number[] = [];
  strategy.widen(space.map(({ kind }) => (kind === "choice" ? firstChoiceDeviation : undefined)));
  for (;;) {
    memory.generation += 1;
    strategy.widen(rounded);
    const samples = Array.from({ length: lambda }, () => strategy.sample(random));
    const label = `generation ${memory.generation}`;
    const requests = samples.map((x) => ({ point: pointAt(space, x), label }));
    if (booleanOption(values, "mean")) requests.push({ point: pointAt(space, strategy.mean), label: `${label}, mean` });
    const news = requests.filter(({ point }) => memory.proposed.add(point)).length;
    memory.stale = news > 0 ? 0 : memory.stale + 1;
    const outcomes = (yield* evaluate(requests)).slice(0, lambda);
    usableOf(context, outcomes, "are ranked last");
    const ranked = byPenalizedLoss(samples, outcomes, strategy.deviations());
    if (ranked.length > 0) strategy.update(ranked);
    if (memory.stale >= staleGenerations) return "no point is new";
    const why = converged(strategy, outcomes, recent, numberOption(values, "tolerance"), lambda);
    if (why !== undefined) return why;
  }
}

function pointAt(space: Space, x: Float64Array): ReturnType<typeof fromUnit> {
  return fromUnit(space, [...x]);
}

/** Losses that differ by less are equal. */
const tolFun = 1e-12;

/** Nothing more is to be learnt once axes differ by this factor: rounding hides the short ones (1e14 in C). */
const maxElongation = 1e7;

/** TolX, TolFun and ConditionCov of the tutorial, B.3; `recent` has the best losses of late generations. */
function converged(
  strategy: CovarianceAdaptation,
  outcomes: readonly Outcome[],
  recent: number[],
  tolerance: number,
  lambda: number,
): string | undefined {
  const losses = outcomes.filter(isUsable).map(({ loss }) => loss);
  const history = 10 + Math.ceil((30 * strategy.mean.length) / lambda);
  if (losses.length > 0) recent.push(Math.min(...losses));
  if (recent.length > history) recent.shift();
  if (Math.max(...strategy.deviations()) < tolerance) return `it varies coordinates by less than ${tolerance}`;
  if (strategy.elongation > maxElongation) return "its distribution has become too thin";
  const lately = [...recent, ...losses];
  if (recent.length === history && Math.max(...lately) - Math.min(...lately) < tolFun) return "losses no longer differ";
  return undefined;
}
