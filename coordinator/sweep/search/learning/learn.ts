import type { Random } from "../random.js";
import type { OptionSpec, OptionValues, Searching } from "../searching.js";
import { descendByAdam } from "./descend-by-adam.js";
import { descendBySpsa } from "./descend-by-spsa.js";
import { descendByTangents } from "./descend-by-tangents.js";
import type { AnswerDescent, Descended, Descent } from "./descent.js";

// Which way down, for the kinds that leave the choice to their author.

const epsilon: OptionSpec = { kind: "number", default: 0.05, low: 1e-4, high: 0.5 };
const rate: OptionSpec = { kind: "number", default: 0.02, low: 1e-6, high: 1 };
const rounds: OptionSpec = { kind: "integer", low: 1, high: 100_000 };

/** Of Adam: rounds (100) of 1 + 2 p trials, `rate` is about how far a coefficient moves in each. */
export const adamOptions = { rounds, epsilon, rate } satisfies Record<string, OptionSpec>;

/** Of SPSA: rounds (100) of 2 × `draws` trials; `step` is about how far a coefficient moves in the first. */
export const spsaOptions = {
  rounds,
  epsilon,
  step: { kind: "number", default: 0.1, low: 1e-6, high: 1 },
  draws: { kind: "integer", default: 4, low: 1, high: 1000 },
} satisfies Record<string, OptionSpec>;

/** Of all three ways. Tangents: rounds (5) of 2 p trials and a few more; `radius` is how far a first step may go. */
export const optimizerOptions = {
  optimizer: { kind: "choice", default: "tangent", values: ["tangent", "adam", "spsa"] },
  ...adamOptions,
  ...spsaOptions,
  radius: { kind: "number", default: 0.3, low: 1e-3, high: 100 },
  tolerance: { kind: "number", default: 1e-4, low: 0, high: 1 },
} satisfies Record<string, OptionSpec>;

/** Goes down by the optimizer that the options name. */
export function* learn(
  descent: AnswerDescent,
  start: Float64Array,
  options: OptionValues,
  random: Random,
): Searching<Descended> {
  if (options["optimizer"] === "adam") return yield* learnByAdam(descent, start, options);
  if (options["optimizer"] === "spsa") return yield* learnBySpsa(descent, start, options, random);
  return yield* descendByTangents(descent, start, {
    rounds: Number(options["rounds"] ?? 5),
    epsilon: Number(options["epsilon"]),
    radius: Number(options["radius"]),
    tolerance: Number(options["tolerance"]),
  });
}

export function learnByAdam(descent: Descent, start: Float64Array, options: OptionValues): Searching<Descended> {
  return descendByAdam(descent, start, {
    rounds: Number(options["rounds"] ?? 100),
    epsilon: Number(options["epsilon"]),
    rate: Number(options["rate"]),
  });
}

export function learnBySpsa(
  descent: Descent,
  start: Float64Array,
  options: OptionValues,
  random: Random,
): Searching<Descended> {
  return descendBySpsa(
    descent,
    start,
    {
      rounds: Number(options["rounds"] ?? 100),
      epsilon: Number(options["epsilon"]),
      step: Number(options["step"]),
      draws: Number(options["draws"]),
    },
    random,
  );
}
