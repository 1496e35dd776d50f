import { statfs } from "node:fs/promises";
import { formatBytes } from "../../shared/bytes.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";

/** For what a file system keeps about files, and for the journal and the files beside the weights. */
const overhead = 1.05;
const reserveBytes = 16 << 20;

/**
 * Checks that `bytes` more fit on the file system of `directory`, so that a merge of hours does not fail at its end.
 * Other writers can still fill it.
 */
export async function assertSpace(directory: string, bytes: number, output: string): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  const needed = bytes === 0 ? 0 : Math.ceil(bytes * overhead) + reserveBytes;
  if (needed <= free) return;
  throw new AmalgamError(
    "out_of_space",
    `Cannot write ${quote(output)}: it needs ${formatBytes(needed)} more and ${quote(directory)} has ` +
      `${formatBytes(free)} free`,
    { details: { directory, neededBytes: String(needed), freeBytes: String(free) } },
  );
}
