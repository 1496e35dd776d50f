import { AmalgamError } from "../shared/errors.js";
import { quote } from "../shared/quote.js";

/** Another file is where a source was when the plan was made. */
export function changedFile(path: string, plannedBytes: number, bytes: number): AmalgamError {
  return new AmalgamError(
    "checkpoint_changed",
    `Cannot merge from ${quote(path)}: it changed after planning (${plannedBytes} bytes then, ${bytes} now); plan again`,
    { details: { file: path } },
  );
}

/** A source was cut short while it was being read. */
export function endedEarly(path: string, at: number, plannedBytes: number): AmalgamError {
  return new AmalgamError(
    "checkpoint_changed",
    `Cannot read ${quote(path)}: it ended at byte ${at}, expected ${plannedBytes}; it was changed during the merge`,
    { details: { file: path } },
  );
}
