import { fromUnit, type Point, pointKey, type Space, toUnit } from "../../../space.js";
import { usableOf } from "../../failures.js";
import { frontOf } from "../../pareto.js";
import {
  breathe,
  evaluate,
  type Outcome,
  type SearchContext,
  type Searching,
  type SearchResult,
} from "../../searching.js";
import { spreadOver } from "./spread.js";
import { fitOf, fitSurrogate, fitViolation, leftOutFit, type Surrogate, surrogateFacts } from "./surrogate.js";
import { type Predicted, surrogateFront } from "./surrogate-front.js";

/** What surrogates are functions of: the sweep's space, or two scales of merges. */
export interface Domain {
  readonly space: Space;
  readonly pointAt: (unit: readonly number[]) => Point;
}

/** A trial that surrogates are fitted to. */
export interface Measured {
  /** In the domain. */
  readonly unit: readonly number[];
  readonly outcome: Outcome;
}

/** Has places of a domain measured. Those that fail are left out. */
export function* measure(
  context: SearchContext,
  { space, pointAt }: Domain,
  units: readonly (readonly number[])[],
  label: string,
): Searching<readonly Measured[]> {
  const outcomes = yield* evaluate(units.map((unit) => ({ point: pointAt(unit), label })));
  const usable = new Set(usableOf(context, outcomes, "do not count in the fit"));
  return outcomes.flatMap((outcome, i) => {
    // Of a range with steps, where the trial really was.
    const unit = toUnit(space, fromUnit(space, units[i] ?? []));
    return usable.has(outcome) ? [{ unit, outcome }] : [];
  });
}

/** A surrogate for each objective, and what they say together. */
export function fitObjectives(objectives: number, measured: readonly Measured[], link: string) {
  const units = measured.map(({ unit }) => unit);
  const columns = Array.from({ length: objectives }, (_, objective) => lossesOf(measured, objective));
  const surrogates = columns.map((losses) => fitSurrogate(units, losses, link));
  const violation = fitViolation(
    units,
    measured.map(({ outcome }) => outcome.violation),
  );
  const predict = (unit: readonly number[]): Predicted => {
    return { unit, losses: surrogates.map((surrogate) => surrogate.predict(unit)), violation: violation(unit) };
  };
  return { surrogates, predict };
}

/**
 * What all variants of MAP end with: the common front of the objectives' surrogates is sought in the ranges, which the
 * design spans, and some of it, spread over the whole, is measured. What is recommended are measured points only.
 */
export function* confirmFront(
  context: SearchContext,
  domain: Domain,
  measured: readonly Measured[],
  { link, confirm }: { readonly link: string; readonly confirm: number },
): Searching<SearchResult> {
  const { surrogates, predict } = fitObjectives(context.objectives, measured, link);
  const keyOf = (point: Point): string => pointKey(context.space, point);
  const known = new Set(measured.map(({ outcome }) => keyOf(outcome.point)));
  const predicted = yield* surrogateFront(domain.space, predict, context.random);
  const chosen = spreadOver(
    predicted.filter(({ unit }) => !known.has(keyOf(domain.pointAt(unit)))),
    confirm,
  );
  const confirmed = yield* measure(
    context,
    domain,
    chosen.map(({ unit }) => unit),
    "predicted front",
  );
  const facts: Readonly<Record<string, unknown>>[] = [];
  for (const [objective, surrogate] of surrogates.entries()) {
    const quality = qualityOf(surrogate, objective, measured, confirmed, link);
    facts.push({ ...surrogateFacts(surrogate, domain.space.length), ...quality });
    yield* breathe();
  }
  const front = frontOf([...measured, ...confirmed].map(({ outcome }) => outcome));
  return {
    front: front.map(({ point }) => point),
    facts: {
      dimensions: domain.space.map(({ name }) => name),
      coordinates: "coefficients are for ranges mapped to [0, 1]",
      measured: measured.length,
      surrogates: facts,
      confirmed: confirmed.map(({ unit, outcome }) => {
        return { trial: outcome.trial, predicted: predict(unit).losses, measured: outcome.losses };
      }),
    },
  };
}

/** How good a surrogate is on points that it was not fitted to: of the design, and of the front that it predicts. */
function qualityOf(
  surrogate: Surrogate,
  objective: number,
  measured: readonly Measured[],
  confirmed: readonly Measured[],
  link: string,
) {
  const units = measured.map(({ unit }) => unit);
  const leftOut = leftOutFit(units, lossesOf(measured, objective), link);
  if (confirmed.length === 0) return { leftOut };
  const predictions = confirmed.map(({ unit }) => surrogate.predict(unit));
  return { leftOut, confirmed: fitOf(predictions, lossesOf(confirmed, objective)) };
}

export function lossesOf(measured: readonly Measured[], objective: number): number[] {
  return measured.map(({ outcome }) => outcome.losses[objective] ?? Number.NaN);
}
