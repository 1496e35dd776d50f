import { createHash } from "node:crypto";
import { join, resolve } from "node:path";

/** As much of an address as a folder's name shows, for people. */
const shownLength = 80;

/** Whether a name is meant as an address, however badly it is written. */
export function isAddress(name: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(name);
}

/**
 * The path beside which the work on an output is staged: the output itself, or for an address a path in the folder
 * `staging`, the same for the same address and no other's.
 */
export function workPlace({
  output,
  staging = ".",
}: {
  readonly output: string;
  readonly staging?: string | undefined;
}): string {
  if (!isAddress(output)) return output;
  const hash = createHash("sha256").update(output).digest("hex").slice(0, 8);
  const shown = output.slice(output.indexOf("://") + 3).replace(/[^A-Za-z0-9.-]+/g, "-");
  return join(resolve(staging), `${shown.slice(-shownLength)}-${hash}`);
}
