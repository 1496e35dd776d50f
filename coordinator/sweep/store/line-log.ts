import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { formatBytes } from "../../../shared/bytes.js";
import { AmalgamError } from "../../../shared/errors.js";
import { quote } from "../../../shared/quote.js";
import { formatChecked, parseChecked } from "../../assemble/checked-line.js";
import { hasErrno, openOwn, syncDirectory, writeError, writeFully } from "../../assemble/durable.js";

/** Where a line lies in its file. */
export interface Place {
  readonly offset: number;
  readonly bytes: number;
}

interface Queued {
  readonly line: Buffer;
  readonly resolve: (place: Place) => void;
  readonly reject: (reason: AmalgamError) => void;
}

/** Longer lines are not ours: none is ever written. */
export const maxLineBytes = 256 * 1024 ** 2;
const chunkBytes = 1024 ** 2;
const lineFeed = 0x0a;

/**
 * JSON objects, a line each, that are only ever added to. What was torn by a crash, or is not what was once written, is
 * passed over. Lines stay in the file and are read again when they are wanted.
 */
export class LineLog implements AsyncDisposable {
  readonly #path: string;
  /** Undefined until there is a first line. */
  #handle: FileHandle | undefined;
  #end: number;
  #isTorn: boolean;
  readonly #queue: Queued[] = [];
  #writing: Promise<void> = Promise.resolve();
  #failure: AmalgamError | undefined;

  private constructor(path: string, handle: FileHandle | undefined, { end, isTorn }: { end: number; isTorn: boolean }) {
    this.#path = path;
    this.#handle = handle;
    this.#end = end;
    this.#isTorn = isTorn;
  }

  /** Opens it for adding, and tells of every line that is there. The file is made with its first line. */
  static async open(path: string, onLine: (json: string, place: Place) => void): Promise<LineLog> {
    let handle: FileHandle | undefined;
    try {
      handle = await openOwn(path, constants.O_RDWR);
      return new LineLog(path, handle, await scan(handle, onLine));
    } catch (error) {
      await handle?.close();
      if (hasErrno(error, "ENOENT")) return new LineLog(path, undefined, { end: 0, isTorn: false });
      throw writeError(error, "open", path);
    }
  }

  /** Tells of every line, also while another process adds to it; nothing where there is no such file. */
  static async read(path: string, onLine: (json: string) => void): Promise<void> {
    try {
      await using handle = await open(path, "r");
      await scan(handle, onLine);
    } catch (error) {
      if (!hasErrno(error, "ENOENT")) throw writeError(error, "read", path);
    }
  }

  /** Resolves when the line would survive a power cut. Fails for good once a line could not be written. */
  append(json: string): Promise<Place> {
    const line = Buffer.from(`${formatChecked(json)}\n`);
    if (line.length > maxLineBytes) {
      const problem = `a line of ${formatBytes(line.length)} is longer than the limit of ${formatBytes(maxLineBytes)}`;
      return Promise.reject(new AmalgamError("io_failed", `Cannot write ${quote(this.#path)}: ${problem}`));
    }
    const written = new Promise<Place>((resolve, reject) => this.#queue.push({ line, resolve, reject }));
    this.#writing = this.#writing.then(() => this.#flush());
    return written;
  }

  /** The JSON of a line. */
  async line({ offset, bytes }: Place): Promise<string> {
    const buffer = Buffer.alloc(bytes);
    let done = 0;
    while (this.#handle !== undefined && done < bytes) {
      const { bytesRead } = await this.#handle.read(buffer, done, bytes - done, offset + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    const json = parseChecked(buffer.toString("utf8", 0, done));
    if (json !== undefined) return json;
    throw new AmalgamError("io_failed", `Cannot read ${quote(this.#path)}: it changed at byte ${offset}`);
  }

  /** Forgets all lines. */
  async clear(): Promise<void> {
    await this.#writing;
    await this.#handle?.truncate(0);
    await this.#handle?.datasync();
    this.#end = 0;
    this.#isTorn = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
    await this.#handle?.close();
  }

  /** What has come up meanwhile is written together: the disk is waited for once. */
  async #flush(): Promise<void> {
    const queued = this.#queue.splice(0);
    if (queued.length === 0) return;
    try {
      if (this.#failure !== undefined) throw this.#failure;
      this.#handle ??= await this.#make();
      // What comes after a torn line begins one of its own.
      const separator = Buffer.from(this.#isTorn ? "\n" : "");
      const lines = queued.map(({ line }) => line);
      await writeFully(this.#handle, Buffer.concat([separator, ...lines]), this.#end);
      await this.#handle.datasync();
      this.#isTorn = false;
      this.#end += separator.length;
      for (const { line, resolve } of queued) {
        resolve({ offset: this.#end, bytes: line.length - 1 });
        this.#end += line.length;
      }
    } catch (error) {
      this.#failure ??= writeError(error, "write", this.#path);
      for (const { reject } of queued) reject(this.#failure);
    }
  }

  async #make(): Promise<FileHandle> {
    const handle = await openOwn(this.#path, constants.O_RDWR | constants.O_CREAT);
    await syncDirectory(dirname(this.#path));
    return handle;
  }
}

async function scan(
  handle: FileHandle,
  onLine: (json: string, place: Place) => void,
): Promise<{ readonly end: number; readonly isTorn: boolean }> {
  const chunk = Buffer.alloc(chunkBytes);
  let [end, offset] = [0, 0];
  let parts: Buffer[] = [];
  for (;;) {
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, end);
    if (bytesRead === 0) return { end, isTorn: end > offset };
    let from = 0;
    for (;;) {
      const to = chunk.subarray(0, bytesRead).indexOf(lineFeed, from);
      if (to < 0) break;
      const bytes = end + to - offset;
      const json = parseChecked(Buffer.concat([...parts, chunk.subarray(from, to)]).toString());
      if (json !== undefined) onLine(json, { offset, bytes });
      parts = [];
      offset += bytes + 1;
      from = to + 1;
    }
    parts.push(Buffer.from(chunk.subarray(from, bytesRead)));
    end += bytesRead;
    if (end - offset > maxLineBytes) {
      throw new AmalgamError(
        "io_failed",
        `a line is longer than ${formatBytes(maxLineBytes)}: this file is not a sweep's`,
      );
    }
  }
}
