import { coordinateOf, type Dimension, type Space, valueAt } from "../../space.js";
import { resolutionOf } from "../finite.js";
import type { Random } from "../random.js";

/** A place in the unit cube; see `fromUnit()`. */
export type Genome = readonly number[];

export interface Variation {
  /** Share of pairs that are crossed; the others are handed on as they are. */
  readonly crossover: number;
  /** η_c: the larger, the nearer children are to their parents. */
  readonly crossoverIndex: number;
  /** Of each coordinate. */
  readonly mutation: number;
  /** η_m */
  readonly mutationIndex: number;
}

/** Two children of two parents. */
export function offspring(
  space: Space,
  parents: readonly [Genome, Genome],
  variation: Variation,
  random: Random,
): readonly [Genome, Genome] {
  const [first, second] = random.uniform() < variation.crossover ? cross(space, parents, variation, random) : parents;
  return [mutate(space, first, variation, random), mutate(space, second, variation, random)];
}

/**
 * Simulated binary crossover (Deb and Agrawal 1995): children lie about their parents as those of one-point crossover of
 * binary numbers would. Half of the coordinates are left alone, and which child takes after which parent is up to chance
 * for each. Of choices, which have no order, each child has one parent's.
 */
function cross(
  space: Space,
  [first, second]: readonly [Genome, Genome],
  { crossoverIndex }: Variation,
  random: Random,
): [Genome, Genome] {
  const children: [number[], number[]] = [[], []];
  for (const [i, dimension] of space.entries()) {
    let [a, b] = [first[i] ?? 0, second[i] ?? 0];
    if (dimension.kind === "range" && random.uniform() < 0.5) {
      const u = random.uniform();
      const beta = (u <= 0.5 ? 2 * u : 1 / (2 * (1 - u))) ** (1 / (crossoverIndex + 1));
      [a, b] = [((1 + beta) * a + (1 - beta) * b) / 2, ((1 - beta) * a + (1 + beta) * b) / 2];
    }
    if (random.uniform() < 0.5) [a, b] = [b, a];
    children[0].push(nearest(dimension, a));
    children[1].push(nearest(dimension, b));
  }
  return children;
}

/**
 * Polynomial mutation (Deb and Goyal 1996). A coordinate that is rounded goes at least to the next value, or small
 * mutations would all be lost; a choice becomes any of the others.
 */
function mutate(space: Space, genome: Genome, { mutation, mutationIndex }: Variation, random: Random): Genome {
  return space.map((dimension, i) => {
    const coordinate = genome[i] ?? 0;
    if (random.uniform() >= mutation) return coordinate;
    if (dimension.kind === "choice") return otherChoice(coordinate, dimension.values.length, random);
    const u = random.uniform();
    const exponent = 1 / (mutationIndex + 1);
    const delta = u < 0.5 ? (2 * u) ** exponent - 1 : 1 - (2 * (1 - u)) ** exponent;
    const moved = nearest(dimension, coordinate + delta);
    const resolution = resolutionOf(dimension);
    return resolution === undefined || moved !== coordinate
      ? moved
      : nearest(dimension, coordinate + Math.sign(delta) * resolution);
  });
}

function otherChoice(coordinate: number, choices: number, random: Random): number {
  if (choices < 2) return coordinate;
  const place = Math.min(choices - 1, Math.floor(coordinate * choices));
  return (((place + 1 + random.integer(choices - 1)) % choices) + 0.5) / choices;
}

/** The coordinate of the value that a coordinate stands for, inside the range. */
export function nearest(dimension: Dimension, coordinate: number): number {
  if (dimension.kind === "range" && dimension.step === undefined) return Math.min(1, Math.max(0, coordinate));
  return coordinateOf(dimension, valueAt(dimension, coordinate));
}
