import type { Random } from "../../random.js";

const resamples = 30;
const leftOutShare = 0.2;
/** How much the spread of a bin's error counts beside the error. */
const spreadWeight = 0.5;
const temperature = 0.07;

/**
 * How likely each bin of directions is to be looked at next: softmax of its score over the temperature, where the score is
 * the surrogates' mean squared error there and half the standard deviation of it when a fifth of the points is left out
 * (Li et al. 2024, Bayesian MAP). The authors never visit a bin without points; here it has the largest score of all, as
 * nothing is known less. Nor do leftovers of one resample shrink the next, as in their code.
 *
 * @param errors Of the points in each bin, as shares of the objectives' variance
 */
export function binProbabilities(errors: readonly (readonly number[])[], random: Random): number[] {
  const scores = errors.map((bin) => (bin.length === 0 ? undefined : scoreOf(bin, random)));
  const largest = Math.max(...scores.map((score) => score ?? 0));
  const weights = scores.map((score) => Math.exp(((score ?? largest) - largest) / temperature));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** The index that a probability falls to. */
export function draw(probabilities: readonly number[], random: Random): number {
  let rest = random.uniform();
  for (const [i, probability] of probabilities.entries()) {
    rest -= probability;
    if (rest < 0) return i;
  }
  return probabilities.length - 1;
}

function scoreOf(errors: readonly number[], random: Random): number {
  const kept = errors.length - Math.floor(leftOutShare * errors.length);
  const means = Array.from({ length: resamples }, () =>
    meanOf(
      random
        .permutation(errors.length)
        .slice(0, kept)
        .map((i) => errors[i] ?? 0),
    ),
  );
  const center = meanOf(means);
  return meanOf(errors) + spreadWeight * Math.sqrt(meanOf(means.map((mean) => (mean - center) ** 2)));
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
