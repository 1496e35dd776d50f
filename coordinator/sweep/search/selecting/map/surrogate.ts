import { type Link, linkFor } from "./link.js";
import { fitQuadratic, namedCoefficients, quadraticTerms } from "./quadratic.js";

/** How well predictions match what was measured. */
export interface Fit {
  /** Share of the variance that is explained, 1 at best; undefined where all that was measured is equal. */
  readonly r2?: number;
  /** Root mean squared error, in the unit of the losses. */
  readonly rmse: number;
}

/** A loss as a function of places in the unit cube, by a quadratic through a link. */
export interface Surrogate {
  readonly link: Link;
  /** Of the quadratic, as by `quadraticTerms()`. */
  readonly coefficients: readonly number[];
  readonly predict: (unit: readonly number[]) => number;
}

/** Of `links`; see `linkFor()`. */
export function fitSurrogate(
  units: readonly (readonly number[])[],
  losses: readonly number[],
  wantedLink = "auto",
): Surrogate {
  const { link, sign } = linkFor(losses, wantedLink);
  const coefficients = fitQuadratic(
    units,
    losses.map((loss) => sign * loss),
    link,
  );
  return {
    ...{ link, coefficients },
    predict: (unit) =>
      sign * link.value(quadraticTerms(unit).reduce((sum, term, i) => sum + term * (coefficients[i] ?? 0), 0)),
  };
}

const folds = 5;

/** How well a surrogate predicts what it was not fitted to: every fifth point is left out in turn. */
export function leftOutFit(units: readonly (readonly number[])[], losses: readonly number[], wantedLink?: string): Fit {
  const predicted = new Array<number>(losses.length).fill(0);
  for (let fold = 0; fold < Math.min(folds, losses.length); fold += 1) {
    const isKept = (_: unknown, i: number) => i % folds !== fold;
    const surrogate = fitSurrogate(units.filter(isKept), losses.filter(isKept), wantedLink);
    units.forEach((unit, i) => {
      if (!isKept(unit, i)) predicted[i] = surrogate.predict(unit);
    });
  }
  return fitOf(predicted, losses);
}

export function fitOf(predicted: readonly number[], measured: readonly number[]): Fit {
  const mean = measured.reduce((sum, value) => sum + value, 0) / measured.length;
  const total = measured.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const error = measured.reduce((sum, value, i) => sum + (value - (predicted[i] ?? 0)) ** 2, 0);
  return { ...(total > 0 ? { r2: 1 - error / total } : {}), rmse: Math.sqrt(error / measured.length) };
}

/**
 * Violation is 0 where constraints hold, which no quadratic is; through softplus it may be, if it is large against 1
 * outside. So it is measured in tenths of its mean where it is not 0.
 */
export function fitViolation(
  units: readonly (readonly number[])[],
  violations: readonly number[],
): (unit: readonly number[]) => number {
  const violated = violations.filter((violation) => violation > 0);
  if (violated.length === 0) return () => 0;
  const scale = violated.reduce((sum, value) => sum + value, 0) / violated.length / 10;
  const surrogate = fitSurrogate(
    units,
    violations.map((violation) => violation / scale),
    "softplus",
  );
  return (unit) => {
    const predicted = surrogate.predict(unit);
    // log 2 is what softplus gives at 0, where the quadratic changes its sign.
    return predicted > Math.LN2 ? predicted * scale : 0;
  };
}

/** A surrogate as JSON. */
export function surrogateFacts({ link, coefficients }: Surrogate, variables: number) {
  return { link: link.name, coefficients: namedCoefficients(coefficients, variables) };
}
