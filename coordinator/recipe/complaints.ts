import { AmalgamError } from "../../shared/errors.js";
import type { Position } from "./recipe.js";

/** One thing that is wrong with a recipe, and where. */
export interface Complaint {
  readonly at: Position;
  readonly message: string;
}

/** A recipe of 256 KiB can be wrong in tens of thousands of places; nobody reads past the first hundred. */
const maxListed = 100;

/**
 * The error for a recipe with these complaints: one line for each, `recipe.yaml:7:14  Unknown key …`, in the order of
 * the text. A complaint that an alias repeats is listed once.
 */
export function recipeError(file: string, complaints: readonly Complaint[]): AmalgamError {
  const lines = complaints
    .toSorted((a, b) => compareFiles(a.at, b.at) || a.at.line - b.at.line || a.at.column - b.at.column)
    .map(({ at, message }) => `${at.file ?? file}:${at.line}:${at.column}  ${message}`);
  const distinct = [...new Set(lines)];
  const listed = distinct.slice(0, maxListed);
  if (distinct.length > maxListed) listed.push(`${file}  And ${distinct.length - maxListed} more complaints`);
  return new AmalgamError("recipe_invalid", listed.join("\n"), {
    details: { file, complaints: String(distinct.length) },
  });
}

/** The file that is read comes before those that it refers to. */
function compareFiles({ file: a = "" }: Position, { file: b = "" }: Position): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Gathers complaints, so that one attempt tells the author everything. */
export class Complaints {
  readonly #file: string;
  readonly #list: Complaint[] = [];

  constructor(file: string) {
    this.#file = file;
  }

  get any(): boolean {
    return this.#list.length > 0;
  }

  /** Returns undefined, so that a reader can complain and give up its value in one statement. */
  add(at: Position, message: string): undefined {
    this.#list.push({ at, message });
    return undefined;
  }

  error(): AmalgamError {
    return recipeError(this.#file, this.#list);
  }

  throwIfAny(): void {
    if (this.any) throw this.error();
  }

  /** For what leaves nothing sensible to read on with: complains and throws all complaints so far. */
  fail(at: Position, message: string): never {
    this.add(at, message);
    throw this.error();
  }
}

/** The list, unless a complaint left a hole in it. */
export function allOrNone<T>(items: readonly (T | undefined)[]): T[] | undefined {
  const present = items.filter((item) => item !== undefined);
  return present.length === items.length ? present : undefined;
}
