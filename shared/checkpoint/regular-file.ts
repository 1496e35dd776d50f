import { constants } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { formatBytes } from "../bytes.js";
import { AmalgamError } from "../errors.js";
import { quote } from "../quote.js";

export type OpenFile = { readonly handle: FileHandle; readonly bytes: number };

/** What to call a file in messages, and whether its last path component may be a symbolic link. */
export type RegularFileOptions = {
  /** @default the path */
  readonly name?: string;
  /** @default true */
  readonly followLinks?: boolean;
};

/**
 * Opens a file for reading if it is a regular one. A FIFO or a device is refused without waiting for a writer: the first
 * look keeps us from opening it at all (opening a device can act on it), `O_NONBLOCK` and the second look hold if the
 * file is exchanged in between.
 */
export async function openRegularFile(path: string, options: RegularFileOptions = {}): Promise<OpenFile> {
  const { name = path, followLinks = true } = options;
  let handle: FileHandle | undefined;
  try {
    assertRegular(await stat(path), name);
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | (followLinks ? 0 : constants.O_NOFOLLOW));
    const stats = await handle.stat();
    assertRegular(stats, name);
    return { handle, bytes: stats.size };
  } catch (error) {
    await handle?.close();
    throw fileError(error, name);
  }
}

/** The whole of a small file, refused by its size before a byte of it is read. */
export async function readSmallFile(
  path: string,
  options: RegularFileOptions & { readonly maxBytes: number },
): Promise<Uint8Array> {
  const name = options.name ?? path;
  const { handle, bytes } = await openRegularFile(path, options);
  try {
    if (bytes > options.maxBytes) {
      const problem = `it has ${formatBytes(bytes)}, above the limit of ${formatBytes(options.maxBytes)}`;
      throw new AmalgamError("checkpoint_malformed", `Cannot read ${quote(name)}: ${problem}`, {
        details: { file: name },
      });
    }
    const content = new Uint8Array(bytes);
    const read = await readFully(handle, content, 0);
    return content.subarray(0, read);
  } catch (error) {
    throw fileError(error, name);
  } finally {
    await handle.close();
  }
}

/** Fills `target` from `position` on; returns how many bytes there were. One read may bring fewer than asked for. */
export async function readFully(handle: FileHandle, target: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < target.length) {
    const { bytesRead } = await handle.read(target, done, target.length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

/** Refuses, with `checkpoint_malformed`, what is no regular file. */
export function assertRegular(
  stats: { isFile(): boolean; isDirectory(): boolean; isFIFO(): boolean },
  name: string,
): void {
  if (stats.isFile()) return;
  const kind = stats.isDirectory() ? "a directory" : stats.isFIFO() ? "a FIFO" : "a device or a socket";
  throw new AmalgamError("checkpoint_malformed", `Cannot open ${quote(name)}: it is ${kind}, not a regular file`, {
    details: { file: name },
  });
}

const reasons: Readonly<Record<string, { code: "checkpoint_malformed" | "path_refused"; text: string }>> = {
  ENOENT: { code: "checkpoint_malformed", text: "it does not exist" },
  ENOTDIR: { code: "checkpoint_malformed", text: "it does not exist" },
  EISDIR: { code: "checkpoint_malformed", text: "it is a folder" },
  ENAMETOOLONG: { code: "path_refused", text: "its path is too long" },
  ELOOP: { code: "path_refused", text: "its symbolic links lead nowhere or in a circle" },
  EACCES: { code: "path_refused", text: "reading it is not permitted" },
  EPERM: { code: "path_refused", text: "reading it is not permitted" },
};

/** What the file system has against reading something, such as `it does not exist`. */
export function readingProblem(error: unknown): string {
  const { details, message } = AmalgamError.from(error);
  return reasons[details["errno"] ?? ""]?.text ?? message;
}

/** An error of the file system as one that names the file; errors that already do pass through. */
export function fileError(error: unknown, name: string): AmalgamError {
  if (error instanceof AmalgamError) return error;
  const converted = AmalgamError.from(error);
  const reason = reasons[converted.details["errno"] ?? ""];
  const code = reason?.code ?? converted.code;
  return new AmalgamError(code, `Cannot open ${quote(name)}: ${reason?.text ?? converted.message}`, {
    cause: error,
    details: { ...converted.details, file: name },
  });
}
