import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { hasErrno, openOwn, writeError, writeFully } from "./durable.js";
import { formatRecord, type JournalRecord, parseRecord } from "./journal-records.js";

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

/**
 * Reads a journal as far as it can be trusted, undefined when there is none. A torn last line is what a crash leaves,
 * and is passed over in silence.
 */
export async function readJournal(path: string): Promise<JournalContents | undefined> {
  const records: JournalRecord[] = [];
  let trustedBytes = 0;
  try {
    await using handle = await openOwn(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = await handle.stat();
    if (!stats.isFile()) throw new AmalgamError("io_failed", `Cannot read journal ${quote(path)}: it is not a file`);
    for await (const line of linesOf(handle)) {
      const record = line.ended ? parseRecord(line.text) : undefined;
      if (record === undefined) {
        const after = stats.size - trustedBytes - line.bytes;
        const problem =
          after > 0
            ? `Line ${records.length + 1} of journal ${quote(path)} is damaged: ` +
              `the ${after} bytes after it are not trusted and their work is done again`
            : undefined;
        return { records, trustedBytes, problem };
      }
      records.push(record);
      trustedBytes += line.bytes;
    }
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return undefined;
    throw writeError(error, "read journal", path);
  }
  return { records, trustedBytes, problem: undefined };
}

interface Line {
  readonly text: string;
  /** The line break included. */
  readonly bytes: number;
  /** Whether it has a line break; the last line of a file need not. */
  readonly ended: boolean;
}

async function* linesOf(handle: FileHandle): AsyncGenerator<Line> {
  let rest = Buffer.alloc(0);
  const chunk = Buffer.alloc(readBytes);
  for (;;) {
    const { bytesRead } = await handle.read(chunk, 0, readBytes, null);
    if (bytesRead === 0) break;
    rest = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
    let start = 0;
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a, start)) {
      yield { text: rest.toString("utf8", start, end), bytes: end + 1 - start, ended: true };
      start = end + 1;
    }
    rest = rest.subarray(start);
    if (rest.length > maxLineBytes) break;
  }
  if (rest.length > 0) yield { text: "", bytes: rest.length, ended: false };
}

/**
 * The append-only record of a job. Whatever `append()` was given has reached the disk when its promise resolves; calls
 * that come while the disk is busy share the next write and the next sync.
 */
export class Journal implements AsyncDisposable {
  readonly #path: string;
  readonly #handle: FileHandle;
  #position: number;
  #waiting: string[] = [];
  /** The write under way, and the one that will take what is waiting. */
  #writing: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #failure: AmalgamError | undefined;

  private constructor(path: string, handle: FileHandle, position: number) {
    this.#path = path;
    this.#handle = handle;
    this.#position = position;
  }

  /** Opens a journal for appending after its first `trustedBytes` bytes; what followed them is cut off. */
  static async open(path: string, trustedBytes = 0): Promise<Journal> {
    try {
      const handle = await openOwn(path, constants.O_RDWR | constants.O_CREAT);
      const { size } = await handle.stat();
      if (size !== trustedBytes) await handle.truncate(trustedBytes);
      return new Journal(path, handle, trustedBytes);
    } catch (error) {
      throw writeError(error, "open journal", path);
    }
  }

  /**
   * After a failed write or sync nothing is known about what the disk holds, so every later call fails with the first
   * failure; the next process reads the journal and trusts what it finds sound.
   */
  append(records: readonly JournalRecord[]): Promise<void> {
    for (const record of records) this.#waiting.push(formatRecord(record));
    // Also with nothing to add: the caller then waits for what others added before.
    this.#next ??= this.#writing.then(() => {
      this.#next = undefined;
      this.#writing = this.#write();
      return this.#writing;
    });
    return this.#next;
  }

  async #write(): Promise<void> {
    const lines = Buffer.from(this.#waiting.join(""));
    this.#waiting = [];
    if (this.#failure !== undefined) throw this.#failure;
    if (lines.length === 0) return;
    try {
      await writeFully(this.#handle, lines, this.#position);
      await this.#handle.datasync();
      this.#position += lines.length;
    } catch (error) {
      this.#failure = writeError(error, "write journal", this.#path);
      throw this.#failure;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.append([]).catch(() => undefined);
    await this.#handle.close();
  }
}
