import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";

/** A file that is ours to write: a symbolic link planted under its name is not followed. */
export function openOwn(path: string, flags: number): Promise<FileHandle> {
  return open(path, flags | constants.O_NOFOLLOW, 0o666);
}

/** Writes all of `data` at `position`. One write may take less than it was given. */
export async function writeFully(handle: FileHandle, data: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < data.length) {
    const { bytesWritten } = await handle.write(data, done, data.length - done, position + done);
    if (bytesWritten === 0) throw new AmalgamError("io_failed", `Cannot write ${data.length - done} bytes: none taken`);
    done += bytesWritten;
  }
}

/** Writes a new file and returns when it would survive a power cut, its name in the directory excepted. */
export async function writeDurably(path: string, data: Uint8Array | string): Promise<void> {
  await using handle = await openOwn(path, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC);
  await writeFully(handle, typeof data === "string" ? Buffer.from(data) : data, 0);
  await handle.sync();
}

/** Makes what was created, renamed or removed in a directory survive a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  await using handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } catch (error) {
    // Some network and FUSE file systems have no such operation; what they do is what there is.
    if (!hasErrno(error, "EINVAL", "ENOTSUP", "EOPNOTSUPP")) throw error;
  }
}

/** Makes a file's bytes survive a power cut, whichever process wrote them. */
export async function syncFile(path: string): Promise<void> {
  await using handle = await openOwn(path, constants.O_RDWR);
  await handle.sync();
}

/** An error of the file system as one that says what was being done to which file. */
export function writeError(error: unknown, act: string, path: string): AmalgamError {
  const known = AmalgamError.from(error);
  if (known === error) return known;
  return new AmalgamError(known.code, `Cannot ${act} ${quote(path)}: ${known.message}`, {
    cause: error,
    details: { ...known.details, file: path },
  });
}

/** Whether a system call failed with one of these names, such as `ENOENT`. */
export function hasErrno(error: unknown, ...names: readonly string[]): boolean {
  return error instanceof Error && names.includes((error as NodeJS.ErrnoException).code ?? "");
}
