import { AmalgamError } from "../../../shared/errors.js";

/** The error for data that cannot be used: `x.jsonl:7:14  Not valid JSON: …`. The place says where it stands. */
export function dataError(place: string, problem: string, cause?: unknown): AmalgamError {
  const options = cause === undefined ? {} : { cause };
  return new AmalgamError("usage", `${place}  ${problem}`, { ...options, details: { place } });
}
