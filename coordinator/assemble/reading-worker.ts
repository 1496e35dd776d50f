import { createHash, type Hash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import { crc32 } from "node:zlib";

/** One stretch of a file to read. */
export interface ReadingTask {
  readonly id: number;
  readonly path: string;
  /** Where to begin and end; the end may lie beyond the file's. */
  readonly begin: number;
  readonly end: number;
  /** Parts of the stretch whose CRC-32 is wanted, begin and end in turn, in order and without overlaps. */
  readonly ranges: Float64Array;
  /**
   * Reads all of the stretch and adds it to the running SHA-256 of this number, from which `last` takes the digest;
   * undefined reads the ranges only.
   */
  readonly hash: number | undefined;
  readonly last: boolean;
}

/** Its answer: what was read, or why it could not be. */
export interface ReadingAnswer {
  readonly id: number;
  readonly bytes: number;
  /** One per range; of what there is of it, when the file ends within. */
  readonly crc32s: readonly number[];
  /** In hexadecimal. */
  readonly sha256: string | undefined;
  readonly error: { readonly message: string; readonly errno: string | undefined } | undefined;
}

/** Small enough that what was read is still in the core's L2 cache when it is checked and hashed. */
const buffer = Buffer.alloc(256 << 10);
const hashes = new Map<number, Hash>();

function run({ id, path, begin, end, ranges, hash: key, last }: ReadingTask): ReadingAnswer {
  const hash = key === undefined ? undefined : (hashes.get(key) ?? createHash("sha256"));
  if (key !== undefined && hash !== undefined) hashes.set(key, hash);
  const descriptor = openSync(path, "r");
  let bytes = 0;
  const pass = (from: number, to: number): number => {
    let crc = 0;
    for (let at = from; at < to; ) {
      const read = readSync(descriptor, buffer, 0, Math.min(buffer.length, to - at), at);
      if (read === 0) break;
      const chunk = buffer.subarray(0, read);
      crc = crc32(chunk, crc);
      hash?.update(chunk);
      at += read;
      bytes += read;
    }
    return crc;
  };
  try {
    const crc32s: number[] = [];
    let at = begin;
    for (let i = 0; i < ranges.length; i += 2) {
      const [from = 0, to = 0] = ranges.subarray(i, i + 2);
      if (hash !== undefined) pass(at, from);
      crc32s.push(pass(from, to));
      at = to;
    }
    if (hash !== undefined) pass(at, end);
    if (last && key !== undefined) hashes.delete(key);
    return { id, bytes, crc32s, sha256: last ? hash?.digest("hex") : undefined, error: undefined };
  } finally {
    closeSync(descriptor);
  }
}

parentPort?.on("message", (task: ReadingTask) => {
  let answer: ReadingAnswer;
  try {
    answer = run(task);
  } catch (error) {
    // What a running hash has taken in by now is unknown.
    if (task.hash !== undefined) hashes.delete(task.hash);
    const { message, code } = error as NodeJS.ErrnoException;
    answer = { id: task.id, bytes: 0, crc32s: [], sha256: undefined, error: { message, errno: code } };
  }
  parentPort?.postMessage(answer);
});
