import { quote } from "../../../../shared/quote.js";
import type { Outcome, TrialRequest } from "../searching.js";
import type { Descent } from "./descent.js";
import { type DerivativeWeights, derivativeOf, derivativeWeights, type Probe, placeOf } from "./finite-differences.js";

/** The two trials of each probe, in order. */
export function probeRequests(
  descent: Descent,
  x: Float64Array,
  probes: readonly Probe[],
  label: string,
): readonly TrialRequest[] {
  return probes.flatMap(({ dimension, steps }) =>
    steps.map((step) =>
      descent.request(placeOf(x, dimension, step), `${label}, ${descent.names[dimension] ?? ""} ${signed(step)}`),
    ),
  );
}

/** A probe whose trials are in, with at least one of use. */
export interface Probed {
  readonly dimension: number;
  readonly weights: DerivativeWeights;
  readonly outcomes: readonly [Outcome | undefined, Outcome | undefined];
}

/** Pairs up the outcomes of {@link probeRequests}. Directions of which neither is of use are left out, with a note. */
export function pairUp(descent: Descent, probes: readonly Probe[], outcomes: readonly Outcome[]): readonly Probed[] {
  return probes.flatMap((probe, i) => {
    const pair = [outcomes[2 * i], outcomes[2 * i + 1]] as const;
    const isUsable = (outcome: Outcome | undefined): boolean =>
      outcome !== undefined && Number.isFinite(descent.loss(outcome));
    const weights = derivativeWeights(probe, [isUsable(pair[0]), isUsable(pair[1])]);
    const name = quote(descent.names[probe.dimension] ?? "");
    if (weights === undefined) descent.note(`${name} stays where it is: both trials beside it failed`);
    else if (weights.includes(0) && !(isUsable(pair[0]) && isUsable(pair[1])))
      descent.note(`The slope along ${name} is from one side: the other trial failed`);
    return weights === undefined ? [] : [{ dimension: probe.dimension, weights, outcomes: pair }];
  });
}

/** dL/dx of the losses themselves (without the regulariser), 0 along directions that were left out. */
export function gradientOfLosses(descent: Descent, center: number, probed: readonly Probed[]): Float64Array {
  const gradient = new Float64Array(descent.names.length);
  for (const { dimension, weights, outcomes } of probed) {
    const [first, second] = outcomes.map((outcome) => (outcome === undefined ? Number.NaN : descent.loss(outcome)));
    gradient[dimension] = derivativeOf(weights, center, first ?? Number.NaN, second ?? Number.NaN);
  }
  return gradient;
}

function signed(step: number): string {
  return `${step < 0 ? "−" : "+"} ${Number(Math.abs(step).toPrecision(3))}`;
}
