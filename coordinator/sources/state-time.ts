import { createHash } from "node:crypto";
import { isWeights } from "./mirror-folder.js";

/** A second in which no file of ours was written: from 2004 on, for 34 years. */
const firstSecond = 2 ** 30;

/**
 * The time that stands for a state of a file on a server, in milliseconds since 1970. Servers date files, but a file that
 * is copied or published anew has another date and the same bytes, so the time is made of what the server calls the state,
 * or of the header where it calls it nothing. Whatever compares sizes and times of files thereby compares versions.
 * In whole seconds, since not every file system keeps more.
 */
export function stateTime(name: string, bytes: number, version: string | undefined, start?: Uint8Array): number {
  const hash = createHash("sha256").update(`${bytes}\n`);
  if (version !== undefined) hash.update(`version ${version}`);
  else if (start !== undefined) hash.update(isWeights(name) ? "header " : "text ").update(start);
  return (firstSecond + (hash.digest().readUInt32LE(0) % firstSecond)) * 1000;
}
