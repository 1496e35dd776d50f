import { fromUnit, pointKey, startPoint, toUnit } from "../../space.js";
import { usableOf } from "../failures.js";
import { Proposed } from "../finite.js";
import { numberOption, optionalNumber } from "../options.js";
import { crowdingDistance, nonDominatedFronts } from "../pareto.js";
import type { Random } from "../random.js";
import { evaluate, type OptionValues, type Outcome, type SearchContext, type SearchKind } from "../searching.js";
import { staleGenerations } from "./cma-es.js";
import { SobolSequence } from "./sobol-sequence.js";
import { type Genome, nearest, offspring, type Variation } from "./variation.js";

/** Attempts at a child that is not there yet. */
const attempts = 20;

export const nsgaII: SearchKind = {
  name: "nsga-ii",
  summary: "A population that spreads over the best compromises of several objectives (Deb et al. 2002)",
  options: {
    population: { kind: "integer", default: 40, low: 4, high: 10_000 },
    // Share of pairs that are crossed, and η_c, η_m: the larger, the nearer children are to their parents.
    crossover: { kind: "number", default: 0.9, low: 0, high: 1 },
    crossover_index: { kind: "number", default: 15, low: 0, high: 1000 },
    // Of each coordinate. Default: 1/n.
    mutation: { kind: "number", low: 0, high: 1 },
    mutation_index: { kind: "number", default: 20, low: 0, high: 1000 },
  },
  front: true,
  ends: false,
  *search(context, options) {
    const { space, note } = context;
    const size = numberOption(options, "population");
    const variation = variationOf(context, options);
    const random = context.random("nsga-ii");
    const proposed = new Proposed(space);
    const initial = founders(context, size);
    let genomes = initial.next().value;
    let population: readonly Ranked[] = [];
    for (let generation = 1, stale = 0; stale < staleGenerations; generation += 1) {
      const requests = genomes.map((genome) => ({
        point: fromUnit(space, genome),
        label: `generation ${generation}`,
      }));
      const news = requests.filter(({ point }) => proposed.add(point)).length;
      stale = news > 0 ? 0 : stale + 1;
      const outcomes = yield* evaluate(requests);
      const usable = new Set(usableOf(context, outcomes, "were left out of the population"));
      const known = new Set(population.map(({ outcome }) => pointKey(space, outcome.point)));
      const children = outcomes.flatMap((outcome, i): Individual[] => {
        const key = pointKey(space, outcome.point);
        if (!usable.has(outcome) || known.has(key)) return [];
        known.add(key);
        return [{ outcome, genome: genomes[i] ?? [] }];
      });
      population = survivors([...population, ...children], size);
      genomes = population.length === 0 ? initial.next().value : bred(context, population, size, variation, random);
    }
    note(`Ended: ${staleGenerations} generations brought no point that is new`);
    return undefined;
  },
};

function variationOf({ space }: SearchContext, options: OptionValues): Variation {
  return {
    crossover: numberOption(options, "crossover"),
    crossoverIndex: numberOption(options, "crossover_index"),
    mutation: optionalNumber(options, "mutation") ?? 1 / space.length,
    mutationIndex: numberOption(options, "mutation_index"),
  };
}

/** Populations of points that fill the space evenly, each of new ones; the start is the first of the first. */
function* founders({ space, random }: SearchContext, size: number): Generator<readonly Genome[], never> {
  const sequence = new SobolSequence(space.length, random("nsga-ii initial"));
  let genomes: Genome[] = [toUnit(space, startPoint(space))];
  for (;;) {
    while (genomes.length < size) {
      const unit = sequence.next();
      genomes.push(space.map((dimension, i) => nearest(dimension, unit[i] ?? 0)));
    }
    yield genomes;
    genomes = [];
  }
}

interface Individual {
  readonly genome: Genome;
  readonly outcome: Outcome;
}

interface Ranked extends Individual {
  /** Of its front: 0 is the best. */
  readonly rank: number;
  readonly crowding: number;
}

/** The first fronts that fit, and of the next one those with the most room around them (Deb et al. 2002, III.C). */
function survivors(individuals: readonly Individual[], size: number): Ranked[] {
  const chosen: Ranked[] = [];
  for (const [rank, front] of nonDominatedFronts(individuals.map(({ outcome }) => outcome)).entries()) {
    const members = front.flatMap((i) => individuals[i] ?? []);
    const crowding = crowdingDistance(members.map(({ outcome }) => outcome.losses));
    const ranked = members.map(({ genome, outcome }, i) => ({ genome, outcome, rank, crowding: crowding[i] ?? 0 }));
    const room = size - chosen.length;
    if (ranked.length > room) ranked.sort((a, b) => compareRanked(a, b));
    chosen.push(...ranked.slice(0, room));
    if (chosen.length === size) break;
  }
  return chosen;
}

/** The crowded comparison operator (III.B). */
function compareRanked(a: Ranked, b: Ranked): number {
  if (a.rank !== b.rank) return a.rank - b.rank;
  return a.crowding === b.crowding ? 0 : b.crowding - a.crowding;
}

/** Children of the winners of tournaments of two. One that is there already is made again, a few times. */
function bred(
  { space }: SearchContext,
  population: readonly Ranked[],
  size: number,
  variation: Variation,
  random: Random,
): readonly Genome[] {
  const taken = new Set(population.map(({ outcome }) => pointKey(space, outcome.point)));
  const children: Genome[] = [];
  const winner = (): Genome => {
    const [a, b] = [population[random.integer(population.length)], population[random.integer(population.length)]];
    if (a === undefined || b === undefined) return [];
    return (compareRanked(a, b) <= 0 ? a : b).genome;
  };
  for (let attempt = 1; children.length < size; attempt += 1) {
    for (const child of offspring(space, [winner(), winner()], variation, random)) {
      const key = pointKey(space, fromUnit(space, child));
      if (children.length === size || (taken.has(key) && attempt < attempts * size)) continue;
      taken.add(key);
      children.push(child);
    }
  }
  return children;
}
