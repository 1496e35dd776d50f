import { readdir, realpath, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { openRegularFile, readFully } from "../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { isCommit } from "../../shared/remote/hub-address.js";
import type { RemoteFile, RemoteStore } from "../../shared/remote/remote-store.js";
import { fileUrl, parseRemote } from "../../shared/remote/url.js";

/** A file of a model on a server. */
export interface FoundFile extends RemoteFile {
  readonly name: string;
  /** A copy in the Hub's cache, links resolved, and when it was modified. */
  readonly copy?: { readonly path: string; readonly modifiedMs: number } | undefined;
}

/** A model on a server, or the copy of it that the Hub's cache has. */
export interface FoundModel {
  /** With what was left open filled in. */
  readonly url: string;
  readonly files: readonly FoundFile[];
  readonly license?: string | undefined;
}

/** Where complete copies of the Hub's models are on this machine. */
export type HubCache = (url: string) => Promise<{ readonly directory: string; readonly commit: string } | undefined>;

export interface FindOptions {
  readonly store: RemoteStore;
  /** Undefined: whoever reads the model does not see this machine's files. */
  readonly cache?: HubCache | undefined;
  /** Nothing may be asked of the Hub. */
  readonly isOffline: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The model at an address. A branch or a tag of the Hub is looked up first, lest an old copy be taken for it; a commit
 * that is in the cache takes no network at all.
 */
export async function findModel(url: string, { store, cache, isOffline, signal }: FindOptions): Promise<FoundModel> {
  const hub = parseRemote(url).address?.hub;
  const isSettled = hub !== undefined && (isOffline || isCommit(hub.revision ?? ""));
  const known = isSettled ? await cached(url, cache) : undefined;
  if (known !== undefined) return known;
  const { url: found, files, license } = await store.find(url, signal);
  const copy = hub === undefined ? undefined : await cached(found, cache);
  // A copy without the tokenizer, say, would make a merge without one.
  if (copy !== undefined && hasAll(copy, files.keys())) return { ...copy, license };
  return { url: found, license, files: [...files].map(([name, file]) => ({ name, ...file })) };
}

/** Bytes of a file, from its copy if there is one. The caller has limited `length`. */
export async function readFound(
  file: FoundFile,
  offset: number,
  length: number,
  { store, signal }: Pick<FindOptions, "store" | "signal">,
): Promise<Uint8Array> {
  const range = new Uint8Array(length);
  if (length === 0) return range;
  let done = 0;
  if (file.copy !== undefined) {
    const { handle } = await openRegularFile(file.copy.path);
    try {
      done = await readFully(handle, range, offset);
    } finally {
      await handle.close();
    }
  } else {
    const deliver = (bytes: Uint8Array): void => {
      range.set(bytes, done);
      done += bytes.length;
    };
    await store.read(file, { offset, length }, deliver, signal);
  }
  if (done === length) return range;
  const message = `Cannot read ${quote(file.url)}: it ends at byte ${offset + done} of ${file.bytes}`;
  throw new AmalgamError("checkpoint_changed", message, { details: { file: file.url } });
}

function hasAll({ files }: FoundModel, wanted: Iterable<string>): boolean {
  const there = new Set(files.map(({ name }) => name));
  return [...wanted].every((name) => there.has(name));
}

/** In the cache a file is a link to its blob, which is called what the Hub calls the file's state. */
async function cached(url: string, cache: HubCache | undefined): Promise<FoundModel | undefined> {
  const { address } = parseRemote(url);
  // Copies of whole models are what the cache tells of.
  if (address === undefined || address.segments.length > 0) return undefined;
  const found = await cache?.(url);
  if (found === undefined) return undefined;
  const { directory, commit } = found;
  const pinned = `${address.authority}@${commit}`;
  const files: FoundFile[] = [];
  for (const name of await readdir(directory)) {
    const path = await realpath(join(directory, name)).catch(() => undefined);
    const stats = path === undefined ? undefined : await stat(path);
    if (path === undefined || stats?.isFile() !== true) continue;
    const copy = { path, modifiedMs: stats.mtimeMs };
    files.push({ name, url: fileUrl(pinned, name), bytes: stats.size, version: basename(path), copy });
  }
  return { url: pinned, files };
}
