import { randomUUID } from "node:crypto";
import { constants, writeSync } from "node:fs";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { AmalgamError } from "../../errors.js";
import { formatCount, quote } from "../../quote.js";
import type { RemoteFile, RemoteStore } from "../remote-store.js";
import { hashOf } from "./content.js";
import { lockFile } from "./file-lock.js";
import { fetchPieces } from "./pieces.js";
import type { FilePlace } from "./places.js";
import { syncDirectory } from "./sync-directory.js";

export interface FetchOptions {
  /** Called with bytes that have come; with what an earlier attempt left, too, and below 0 where that was not right. */
  readonly onBytes: (bytes: number) => void;
  readonly pieceBytes: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Whether the file is in place, by its size: what it holds was checked when it got there. A file whose state its server
 * calls nothing may be another by now, and is not.
 */
export async function isInPlace({ path, file, digest }: FilePlace): Promise<boolean> {
  if (digest === undefined && file.version === undefined) return false;
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true && found.size === file.bytes;
}

/** Puts a file in its place, from where an earlier attempt ended, unless somebody else does so first. */
export async function fetchFile(store: RemoteStore, place: FilePlace, options: FetchOptions): Promise<void> {
  const { path, lock, file, digest } = place;
  // Before a lock is made: a cache that is shared may be read-only.
  if (await isInPlace(place)) return options.onBytes(file.bytes);
  await mkdir(dirname(path), { recursive: true });
  await mkdir(dirname(lock), { recursive: true });
  await using held = await lockFile(lock, options.signal);
  if (await isInPlace(place)) return options.onBytes(file.bytes);
  // Without a lock another process may write the same file: then each has its own, and none goes on from another's.
  const unfinished = held.isHeld ? `${path}.incomplete` : `${path}.${randomUUID().slice(0, 8)}.incomplete`;
  try {
    const kept = digest !== undefined || file.version !== undefined ? await keptBytes(unfinished, file.bytes) : 0;
    const found = await fill(store, place, unfinished, kept, options);
    // What an earlier attempt left is not known to be right before all is here.
    const second = kept > 0 && !isRight(place, found) ? await fillAgain(store, place, unfinished, options) : found;
    assertRight(place, second);
    await rename(unfinished, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    const isUseless = !held.isHeld || AmalgamError.from(error).code === "chunk_corrupt";
    if (isUseless) await rm(unfinished, { force: true });
    throw error;
  }
}

function fillAgain(
  store: RemoteStore,
  place: FilePlace,
  path: string,
  options: FetchOptions,
): Promise<string | undefined> {
  options.onBytes(-place.file.bytes);
  return fill(store, place, path, 0, options);
}

/** Bytes of an unfinished file that can be gone on from. One longer than the file itself is another's. */
async function keptBytes(path: string, bytes: number): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true && found.size <= bytes ? found.size : 0;
}

/** Writes all behind the first `kept` bytes, and returns the digest of the whole. */
async function fill(
  store: RemoteStore,
  { file, digest }: FilePlace,
  path: string,
  kept: number,
  { onBytes, pieceBytes, signal }: FetchOptions,
): Promise<string | undefined> {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_APPEND } = constants;
  await using handle = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_APPEND, 0o666);
  const start = file.wholeOnly ? 0 : kept;
  await handle.truncate(start);
  const hash = await hashOf(digest, file.bytes, { path, bytes: start });
  onBytes(start);
  if (file.wholeOnly) {
    // In order and at once, so there is nothing to wait for but the disk, which is what slows the server down.
    const deliver = (bytes: Uint8Array): void => {
      for (let done = 0; done < bytes.length; ) done += writeSync(handle.fd, bytes, done);
      hash?.update(bytes);
      onBytes(bytes.length);
    };
    await store.read(file, { offset: 0, length: file.bytes }, deliver, signal);
  } else {
    for await (const piece of fetchPieces(store, file, { start, pieceBytes, onBytes, signal })) {
      await handle.appendFile(piece);
      hash?.update(piece);
    }
  }
  await handle.sync();
  const { size } = await handle.stat();
  if (size !== file.bytes) throw cutShort(file, size);
  return hash?.digest("hex");
}

/** Somebody else wrote to it, or what said that all had come was wrong. */
function cutShort({ url, bytes }: RemoteFile, size: number): AmalgamError {
  const problem = `${formatCount(size)} bytes were written of its ${formatCount(bytes)}`;
  return new AmalgamError("chunk_corrupt", `Cannot download ${quote(url)}: ${problem}`, { details: { file: url } });
}

function isRight({ digest }: FilePlace, found: string | undefined): boolean {
  return digest === undefined || found === digest.hex;
}

function assertRight(place: FilePlace, found: string | undefined): void {
  if (isRight(place, found)) return;
  const { file, digest } = place;
  const name = digest?.algorithm === "sha256" ? "SHA-256" : "git's digest";
  throw new AmalgamError(
    "chunk_corrupt",
    `Cannot download ${quote(file.url)}: ${name} of what came is ${found}, and ${digest?.hex} is the file's`,
    { details: { file: file.url } },
  );
}
