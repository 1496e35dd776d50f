import { AmalgamError } from "../../../shared/errors.js";

/** What could not be put on record says nothing of the trial that it is of: it ends the sweep. */
class NotKept extends AmalgamError {}

export function notKept(reason: unknown): AmalgamError {
  const { code, message, details } = AmalgamError.from(reason);
  return new NotKept(code, message, { cause: reason, details });
}

export function isNotKept(error: AmalgamError): boolean {
  return error instanceof NotKept;
}
