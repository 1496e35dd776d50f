import { AmalgamError } from "../../shared/errors.js";

/**
 * This coordinator cannot go on with a job that is sound, and another one of the cluster may: this one sees other files,
 * or computes in another way than whoever began it.
 */
export class NotHere extends AmalgamError {
  constructor(reason: string, cause?: unknown) {
    super("output_refused", `Cannot go on here: ${reason}`, { cause });
  }
}
