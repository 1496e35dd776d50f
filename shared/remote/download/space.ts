import { stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { formatBytes } from "../../bytes.js";
import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import { isInPlace } from "./fetch-file.js";
import type { FilePlace } from "./places.js";

/** What is left free for others. */
const reserveBytes = 16 << 20;

/** Fails with `out_of_space` where what is missing of these files does not fit. */
export async function assertRoom(places: readonly FilePlace[], url: string): Promise<void> {
  const [first] = places;
  if (first === undefined) return;
  const missing = await Promise.all(places.map(missingBytes));
  const needed = missing.reduce((sum, bytes) => sum + bytes, 0);
  const directory = await existing(dirname(first.path));
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  if (needed === 0 || needed + reserveBytes <= free) return;
  throw new AmalgamError(
    "out_of_space",
    `Cannot download ${quote(url)}: it needs ${formatBytes(needed)} more, and ${quote(directory)} has ${formatBytes(free)} free`,
    { details: { directory, neededBytes: String(needed), freeBytes: String(free) } },
  );
}

async function missingBytes(place: FilePlace): Promise<number> {
  if (await isInPlace(place)) return 0;
  const begun = await stat(`${place.path}.incomplete`).catch(() => undefined);
  return Math.max(0, place.file.bytes - (begun?.size ?? 0));
}

/** The nearest folder above that is there. */
async function existing(path: string): Promise<string> {
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  return isThere || path === dirname(path) ? path : existing(dirname(path));
}
