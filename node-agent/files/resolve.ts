import { realpath } from "node:fs/promises";
import { isAbsolute, resolve } from "node:path";
import { fileError } from "../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { isInsideOne, outside } from "../roots.js";

/**
 * The path to open below the roots, symbolic links resolved. The same rule as `Confinement.readable`, and the same
 * errors, without blocking: the event loop must outlive a network file system that hangs. `act` starts the message.
 */
export async function resolveBelow(path: string, roots: readonly string[], act: string): Promise<string> {
  const refuse = (reason: string): AmalgamError =>
    new AmalgamError("path_refused", `Cannot ${act} ${quote(path)}: ${reason}`, { details: { file: path } });
  if (!isAbsolute(path) || path.includes("\0")) throw refuse("it is not an absolute path");
  let resolved: string;
  try {
    resolved = await realpath(path);
  } catch (error) {
    // Whether a file outside the roots exists is nobody's business.
    if (!isInsideOne(resolve(path), roots)) throw refuse(outside(roots));
    throw fileError(error, path);
  }
  if (!isInsideOne(resolved, roots)) throw refuse(outside(roots));
  return resolved;
}

/** Whether an error says that there is nothing at a path. */
export function isMissing(error: unknown): boolean {
  const cause = error instanceof AmalgamError ? error.cause : error;
  const { code } = (cause ?? {}) as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENOTDIR";
}
