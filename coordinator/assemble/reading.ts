import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { writeError } from "./durable.js";
import type { ByteRange } from "./pieces.js";
import { runOnThread } from "./reading-threads.js";

/** Bytes asked for at a time: what an abort may have to wait for, unless one range is larger. */
const stretchBytes = 64 << 20;

export interface CheckedRange extends ByteRange {
  readonly crc32: number;
}

let keys = 0;

/**
 * A file that is read front to back on another thread, so that gigabytes of hashing do not keep the event loop from its
 * streams and heartbeats. It may be read as it grows: `read()` goes on where the last call ended.
 */
export class HashedFile {
  readonly #path: string;
  readonly #key: number;
  #at = 0;

  constructor(path: string) {
    this.#path = path;
    this.#key = keys;
    keys += 1;
  }

  /** Bytes that were read. */
  get position(): number {
    return this.#at;
  }

  /** Reads on up to `end`; returns the places of those ranges in between whose bytes are not what their CRC-32 says. */
  async read(end: number, ranges: readonly CheckedRange[], signal?: AbortSignal): Promise<number[]> {
    const differing: number[] = [];
    let place = 0;
    while (this.#at < end) {
      signal?.throwIfAborted();
      const taken = takeRanges(ranges, place, this.#at + stretchBytes);
      // Without ranges ahead, stretches may end anywhere; with them, only between two.
      const next = place + taken.length < ranges.length ? (taken.at(-1)?.end ?? end) : end;
      const to = taken.length > 0 ? next : Math.min(end, this.#at + stretchBytes);
      const crc32s = await this.#pass(to, taken);
      for (const [i, range] of taken.entries()) if (crc32s[i] !== range.crc32) differing.push(place + i);
      place += taken.length;
    }
    return differing;
  }

  /** The SHA-256 of all that was read, in hexadecimal. Nothing can be read after it. */
  async digest(): Promise<string> {
    const task = { path: this.#path, begin: this.#at, end: this.#at, ranges: new Float64Array(), last: true };
    const { sha256 } = await this.#run({ ...task, hash: this.#key });
    if (sha256 === undefined) throw new TypeError("A reading thread answered without a digest");
    return sha256;
  }

  async #pass(to: number, ranges: readonly CheckedRange[]): Promise<readonly number[]> {
    const flat = Float64Array.from(ranges.flatMap(({ begin, end }) => [begin, end]));
    const task = { path: this.#path, begin: this.#at, end: to, ranges: flat, last: false };
    const { bytes, crc32s } = await this.#run({ ...task, hash: this.#key });
    if (bytes < to - this.#at) {
      const problem = `it ends at byte ${this.#at + bytes} and should go on to ${to}`;
      throw new AmalgamError("io_failed", `Cannot read ${quote(this.#path)}: ${problem}`);
    }
    this.#at = to;
    return crc32s;
  }

  async #run(task: Parameters<typeof runOnThread>[1]): ReturnType<typeof runOnThread> {
    try {
      return await runOnThread(this.#key, task);
    } catch (error) {
      throw writeError(error, "read", this.#path);
    }
  }
}

/** The ranges from `place` on that fit before `end`, and one in any case. */
function takeRanges(ranges: readonly CheckedRange[], place: number, end: number): readonly CheckedRange[] {
  let to = place;
  while (to < ranges.length && (to === place || (ranges[to]?.end ?? 0) <= end)) to += 1;
  return ranges.slice(place, to);
}

/** The SHA-256 of a file of `bytes` bytes, in hexadecimal. */
export async function hashFile(path: string, bytes: number, signal?: AbortSignal): Promise<string> {
  const file = new HashedFile(path);
  await file.read(bytes, [], signal);
  return await file.digest();
}

/**
 * Reads only these ranges of a file, in order and without overlaps, and returns the places of those whose bytes are not
 * what their CRC-32 says; bytes beyond the end of the file count as such.
 */
export async function checkRanges(
  path: string,
  ranges: readonly CheckedRange[],
  signal?: AbortSignal,
): Promise<number[]> {
  const differing: number[] = [];
  keys += 1;
  const key = keys;
  for (let place = 0; place < ranges.length; ) {
    signal?.throwIfAborted();
    const taken = takeRanges(ranges, place, (ranges[place]?.begin ?? 0) + stretchBytes);
    const flat = Float64Array.from(taken.flatMap(({ begin, end }) => [begin, end]));
    try {
      const { crc32s } = await runOnThread(key, { path, begin: 0, end: 0, ranges: flat, hash: undefined, last: false });
      for (const [i, range] of taken.entries()) if (crc32s[i] !== range.crc32) differing.push(place + i);
    } catch (error) {
      throw writeError(error, "read", path);
    }
    place += taken.length;
  }
  return differing;
}
