import { AmalgamError, type ErrorCode } from "../../shared/errors.js";
import type { Mutate } from "./mutate/random.js";

/**
 * What becomes of an input: a few words that are the same for inputs that are taken, or refused, for the same reason. A
 * reason that was not seen before is worth keeping its input for, as new coverage is.
 */
export type Verdict = string;

/** Something that reads bytes from outside, and what must hold whatever they are. */
export interface FuzzTarget {
  readonly name: string;
  /** Sound inputs, which mutations begin with. */
  readonly seeds: () => readonly Uint8Array[];
  readonly mutate: Mutate;
  /** Throws anything when what must hold does not. */
  readonly run: (input: Uint8Array) => Verdict | Promise<Verdict>;
  /** The sources whose coverage guides the search, by their path in the repository. */
  readonly covers: RegExp;
}

/** Longest input tried. What is found with short ones is found sooner, and limits have tests of their own. */
export const maxInputBytes = 8 << 10;

/** No input of so few bytes may take longer: a thousand times what they take. */
export const maxMilliseconds = 1_000;

/** Of a message, however long what it is about. */
const maxLineLength = 2_000;

/** Runs what reads an input. An error of ours with one of `codes` is a refusal; every other one is a finding. */
export async function verdictOf(codes: readonly ErrorCode[], act: () => unknown): Promise<Verdict> {
  try {
    await act();
    return "accepted";
  } catch (error) {
    return refusal(error, codes);
  }
}

/** The shape of an expected error's message. Any other error is thrown again. */
export function refusal(error: unknown, codes: readonly ErrorCode[]): Verdict {
  if (!(error instanceof AmalgamError)) throw error;
  if (!codes.includes(error.code)) throw new TypeError(`Refused with "${error.code}"`, { cause: error });
  for (const line of error.message.split("\n")) {
    if (/\p{C}/u.test(line)) throw new TypeError("The message has characters that do not show", { cause: error });
    if (line.length > maxLineLength) throw new TypeError(`The message has ${line.length} characters`, { cause: error });
  }
  const shape = error.message
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')
    .replaceAll(/\b[0-9a-f]{8}\b|-?\d[\d,.e+]*/g, "0")
    .replaceAll(/\[[0, ]*[\])]/g, "[]");
  return `${error.code}: ${shape.replace(/ version .*/, " version").slice(0, 72)}`;
}

/** Fails unless what was accepted is as it must be. */
export function assertHolds(holds: boolean, what: string): asserts holds {
  if (!holds) throw new TypeError(`Accepted although ${what}`);
}
