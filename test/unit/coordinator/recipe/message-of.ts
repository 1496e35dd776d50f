import { AmalgamError } from "../../../../shared/errors.js";

/** The message of the AmalgamError that `act` throws; any other error is passed on. */
export function messageOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof AmalgamError) return error.message;
    throw error;
  }
  return "no error";
}
