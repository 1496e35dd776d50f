import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { hasErrno, openOwn, writeError } from "./durable.js";
import { type JournalRecord, parseRecord } from "./parse-record.js";

/** Longest line read. Ours stay far below it; it keeps a damaged file from being read into memory as one line. */
const maxLineBytes = 16 << 20;
const readBytes = 1 << 20;

export interface JournalContents {
  readonly records: readonly JournalRecord[];
  /** Bytes of the lines that can be trusted; whatever follows them is cut off before the journal is appended to. */
  readonly trustedBytes: number;
  /**
   * A line that is not what was written, with more lines after it: a crash alone tears only the last line, so a person
   * should know. What follows it is not trusted and is done again.
   */
  readonly problem: string | undefined;
}

/** Reads a journal from a disk as far as it can be trusted, undefined when there is none. See {@link parseJournal}. */
export async function readJournal(path: string): Promise<JournalContents | undefined> {
  try {
    await using handle = await openOwn(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = await handle.stat();
    if (!stats.isFile()) throw new AmalgamError("io_failed", `Cannot read journal ${quote(path)}: it is not a file`);
    return await parseJournal(chunksOf(handle), path);
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return undefined;
    throw writeError(error, "read journal", path);
  }
}

/**
 * Reads a journal as far as it can be trusted. A torn last line is what a crash leaves, and is passed over in silence.
 * `name` is what messages call it.
 */
export async function parseJournal(chunks: AsyncIterable<Uint8Array>, name: string): Promise<JournalContents> {
  const records: JournalRecord[] = [];
  let trustedBytes = 0;
  /** Of the first line that cannot be trusted, and of all that follows it. */
  let badBytes: number | undefined;
  let restBytes = 0;
  for await (const line of linesOf(chunks)) {
    if (badBytes !== undefined) restBytes += line.bytes;
    else {
      const record = line.ended ? parseRecord(line.text) : undefined;
      if (record === undefined) badBytes = line.bytes;
      else {
        records.push(record);
        trustedBytes += line.bytes;
      }
    }
  }
  const problem =
    restBytes > 0
      ? `Line ${records.length + 1} of journal ${quote(name)} is damaged: ` +
        `the ${restBytes} bytes after it are not trusted and their work is done again`
      : undefined;
  return { records, trustedBytes, problem };
}

interface Line {
  readonly text: string;
  /** The line break included. */
  readonly bytes: number;
  /** Whether it has a line break; the last line of a file need not. */
  readonly ended: boolean;
}

async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  let rest = Buffer.alloc(0);
  /** Bytes of a line that is too long to be one of ours; they are counted and not kept. */
  let dropped = 0;
  for await (const chunk of chunks) {
    rest = Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a, start)) {
      const text = dropped > 0 ? "" : rest.toString("utf8", start, end);
      yield { text, bytes: dropped + end + 1 - start, ended: true };
      dropped = 0;
      start = end + 1;
    }
    rest = rest.subarray(start);
    if (rest.length > maxLineBytes) {
      dropped += rest.length;
      rest = Buffer.alloc(0);
    }
  }
  if (dropped + rest.length > 0) yield { text: "", bytes: dropped + rest.length, ended: false };
}

async function* chunksOf(handle: FileHandle): AsyncGenerator<Uint8Array> {
  for (;;) {
    const chunk = Buffer.alloc(readBytes);
    const { bytesRead } = await handle.read(chunk, 0, readBytes, null);
    if (bytesRead === 0) return;
    yield chunk.subarray(0, bytesRead);
  }
}
