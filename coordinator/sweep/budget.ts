import type { Budget } from "./types.js";

/** What a sweep has used up. */
export interface Spent {
  readonly trials: number;
  /** Examples that models were run on for trials. */
  readonly examples: number;
  /** Of work, interruptions not counted. */
  readonly minutes: number;
}

const units = ["trials", "examples", "minutes"] as const satisfies readonly (keyof Budget)[];

/** What ends a sweep, for people: "its 200 trials are used up"; undefined while nothing does. */
export function usedUp(budget: Budget, spent: Spent): string | undefined {
  const unit = units.find((name) => spent[name] >= (budget[name] ?? Number.POSITIVE_INFINITY));
  return unit === undefined ? undefined : `its ${budget[unit]} ${unit} are used up`;
}

/** So much more than there was, or than was used up where there was no limit. */
export function extended(budget: Budget, spent: Spent, more: Budget): Budget {
  const grown = units.flatMap((unit) => {
    const added = more[unit];
    return added === undefined ? [] : [[unit, (budget[unit] ?? Math.ceil(spent[unit])) + added] as const];
  });
  return { ...budget, ...Object.fromEntries(grown) };
}

export function isSameBudget(a: Budget, b: Budget): boolean {
  return units.every((unit) => a[unit] === b[unit]);
}
