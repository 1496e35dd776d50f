import { AmalgamError } from "../../../shared/errors.js";
import type { Complaints } from "../../recipe/complaints.js";
import type { Position } from "../../recipe/recipe.js";

/** A line of what `recipeError()` says. */
const placed = /^(.*):(\d+):(\d+) {2}(.*)$/s;

/**
 * Runs `act` and takes what it complains of as complaints of the sweep, so that the author is told everything at once.
 * `at` is for what has no place of its own. Undefined where there was one.
 */
export function adopt<T>(act: () => T, file: string, at: Position, complaints: Complaints): T | undefined {
  try {
    return act();
  } catch (error) {
    return take(error, file, at, complaints);
  }
}

export async function adoptLater<T>(
  act: () => Promise<T>,
  file: string,
  at: Position,
  complaints: Complaints,
): Promise<T | undefined> {
  try {
    return await act();
  } catch (error) {
    return take(error, file, at, complaints);
  }
}

function take(error: unknown, file: string, at: Position, complaints: Complaints): undefined {
  if (!(error instanceof AmalgamError)) throw error;
  for (const line of error.code === "recipe_invalid" ? error.message.split("\n") : [error.message]) {
    const [, named, row, column, message] = placed.exec(line) ?? [];
    if (named === undefined || message === undefined) complaints.add(at, line);
    else {
      const place = { line: Number(row), column: Number(column) };
      complaints.add(named === file ? place : { ...place, file: named }, message);
    }
  }
  return undefined;
}
