import { randomUUID } from "node:crypto";
import { mkdir, readFile, readlink, rename, symlink, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { mapBounded } from "../checkpoint/bounded.js";
import { AmalgamError } from "../errors.js";
import { quote } from "../quote.js";
import { fetchFile } from "./download/fetch-file.js";
import { defaultPieceBytes } from "./download/pieces.js";
import { type FilePlace, type ModelPlaces, placesFor } from "./download/places.js";
import { assertRoom } from "./download/space.js";
import type { RemoteModel, RemoteStore } from "./remote-store.js";

export interface DownloadProgress {
  readonly doneBytes: number;
  readonly bytes: number;
  readonly filesDone: number;
  readonly files: number;
}

export interface DownloadOptions {
  /** Where caches are named. @default process.env */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The model's address as it was written: the Hub's cache remembers what its branch or tag was. @default the model's */
  readonly asked?: string;
  /** What one request asks for at most; four of a file and of four files are on their way at once. @default 8 MiB */
  readonly pieceBytes?: number;
  readonly onProgress?: (progress: DownloadProgress) => void;
  readonly signal?: AbortSignal | undefined;
}

const filesAtOnce = 4;

/**
 * Downloads a model and returns the path to name instead of its URL. A model of the Hub's goes into the cache of the Hub's
 * own tools, in their layout and under their locks, its files checked against their digests; any other goes below
 * `$XDG_CACHE_HOME/amalgam/models`. What is there is not downloaded again, and what was begun is gone on with. Fails with
 * `out_of_space` before anything is written, with `chunk_corrupt` for content that is not the file's, and as
 * {@link RemoteStore.read} does.
 */
export async function downloadModel(
  store: RemoteStore,
  model: RemoteModel,
  options: DownloadOptions = {},
): Promise<string> {
  const { env = process.env, asked = model.url, pieceBytes = defaultPieceBytes, signal } = options;
  const places = placesFor(model, asked, env);
  const counter = countProgress(places.files, options.onProgress);
  try {
    await assertRoom(places.files, model.url);
    await mapBounded(places.files, filesAtOnce, async (place) => {
      if (signal?.aborted) throw AmalgamError.from(signal.reason);
      await fetchFile(store, place, { onBytes: counter.onBytes, pieceBytes, signal });
      if (place.link !== undefined) await setLink(place.link);
      counter.onFile();
    });
    // Last, since a name for a commit that has no files yet is what the Hub's tools call a corrupt cache.
    if (places.ref !== undefined) await writeRef(places.ref);
  } catch (reason) {
    if (signal?.aborted) throw AmalgamError.from(signal.reason);
    throw named(reason, model.url);
  }
  return places.result;
}

function countProgress(
  places: readonly FilePlace[],
  report: DownloadOptions["onProgress"],
): { readonly onBytes: (bytes: number) => void; readonly onFile: () => void } {
  const bytes = places.reduce((sum, { file }) => sum + file.bytes, 0);
  let doneBytes = 0;
  let filesDone = 0;
  const tell = (): void => report?.({ doneBytes, bytes, filesDone, files: places.length });
  return {
    onBytes: (more) => {
      doneBytes += more;
      tell();
    },
    onFile: () => {
      filesDone += 1;
      tell();
    },
  };
}

/** By a rename, so that there is a link at any time, and another process may do the same. */
async function setLink({ path, target }: NonNullable<FilePlace["link"]>): Promise<void> {
  const before = await readlink(path).catch(() => undefined);
  if (before === target) return;
  await mkdir(dirname(path), { recursive: true });
  const unfinished = `${path}.${randomUUID().slice(0, 8)}`;
  await symlink(target, unfinished);
  await rename(unfinished, path);
}

async function writeRef({ path, commit }: NonNullable<ModelPlaces["ref"]>): Promise<void> {
  const before = await readFile(path, "utf8").catch(() => undefined);
  if (before?.trim() === commit) return;
  await mkdir(dirname(path), { recursive: true });
  const unfinished = `${path}.${randomUUID().slice(0, 8)}`;
  await writeFile(unfinished, commit);
  await rename(unfinished, path);
}

function named(reason: unknown, url: string): AmalgamError {
  const error = AmalgamError.from(reason);
  if (error === reason) return error;
  return new AmalgamError(error.code, `Cannot download ${quote(url)}: ${error.message}`, {
    cause: reason,
    details: error.details,
  });
}
