import { createHash } from "node:crypto";
import { join } from "node:path";
import { AmalgamError } from "../../shared/errors.js";
import { formatCount, quote } from "../../shared/quote.js";
import { parseRemote, splitFile } from "../../shared/remote/url.js";
import { type FindOptions, type FoundFile, type FoundModel, readFound } from "./found-model.js";
import { type ElsewhereFile, isWeights, mirrorFolder } from "./mirror-folder.js";
import type { Pin } from "./pins.js";
import { stateTime } from "./state-time.js";

/** A file of a mirror, and where it really is. */
export interface ServerFile extends FoundFile {
  /** Of the mirror's copy: see {@link stateTime}. */
  readonly modifiedMs: number;
}

export interface ServerMirror {
  /** What takes the model's place in the recipe: the mirror's folder, or the one file in it. */
  readonly path: string;
  readonly directory: string;
  /** By path in the mirror. */
  readonly files: ReadonlyMap<string, ServerFile>;
  readonly pin: Pin;
}

export interface ServerFolderOptions extends Pick<FindOptions, "store" | "signal"> {
  /** As the recipe asks for it. */
  readonly url: string;
  readonly found: FoundModel;
  /** What was there when the job began, if an earlier run of it got so far. */
  readonly pin: Pin | undefined;
  /** Mirrors of all models go below it. */
  readonly directory: string;
}

/** A server answers many at once, and each takes a round trip. */
const concurrency = 8;
const maxSegmentLength = 120;

/**
 * Mirrors a model on a server, or its copy here: the same mirror of the same state, whichever it is read from. Fails with
 * `checkpoint_changed` when the model is not the pinned one.
 */
export async function mirrorServerFolder(options: ServerFolderOptions): Promise<ServerMirror> {
  const { url, found, pin, store, signal } = options;
  const pinned = new Map(pin?.files.map((file) => [file.name, file]));
  if (pin !== undefined) assertSame(pin, found);
  const file = onlyFileOf(found.url);
  // Apart: a mirror of the folder that the file is in has other files.
  const into = join(options.directory, file === undefined ? "@" : "@files", ...placeOf(file?.folder ?? found.url));
  const files = found.files.map((one): ElsewhereFile => {
    const { name, bytes, version } = one;
    return {
      name,
      bytes,
      read: (offset, length) => readFound(one, offset, length, { store, signal }),
      modifiedMs: (start) => stateTime(name, bytes, version, start),
      knownMs: version === undefined ? undefined : stateTime(name, bytes, version),
    };
  });
  const copies = await mirrorFolder({ model: url, files, into, only: file?.name, concurrency });
  const mirrored = found.files.flatMap((one) => {
    const copy = copies.get(one.name);
    return copy === undefined ? [] : [{ ...one, modifiedMs: copy.modifiedMs, mirror: copy.path }];
  });
  for (const { name, bytes, modifiedMs } of mirrored) {
    const before = pinned.get(name);
    if (before === undefined || before.modifiedMs === modifiedMs) continue;
    throw changed(pin?.found ?? url, name, "it begins with other bytes", `${formatCount(bytes)} bytes`);
  }
  return {
    path: file === undefined ? into : join(into, file.name),
    directory: into,
    files: new Map(mirrored.map(({ mirror, ...one }) => [mirror, one])),
    pin: {
      ...{ url, found: found.url, ...(found.license === undefined ? {} : { license: found.license }) },
      files: mirrored.map(({ name, bytes, version, modifiedMs }) => {
        return { name, bytes, ...(version === undefined ? {} : { version }), modifiedMs };
      }),
    },
  };
}

/** One that was asked for by name. */
function onlyFileOf(url: string): { readonly folder: string; readonly name: string } | undefined {
  const { address } = parseRemote(url);
  if (address === undefined || !isWeights(address.url) || address.segments.length === 0) return undefined;
  return splitFile(address);
}

/** Folders below the mirrors' own, by which a message can be understood. None is longer than file systems allow. */
function placeOf(url: string): readonly string[] {
  return url.split(/:?\/+/).map((part) => {
    if (part.length <= maxSegmentLength && part !== "." && part !== "..") return part;
    return createHash("sha256").update(part).digest("hex");
  });
}

/** Small files that only one of the two has are passed over: a copy in the cache need not have all of them. */
function assertSame(pin: Pin, { files }: FoundModel): void {
  const now = new Map(files.map((file) => [file.name, file]));
  for (const { name, bytes, version } of pin.files) {
    const file = now.get(name);
    if (file === undefined && !isWeights(name)) continue;
    if (file === undefined) throw changed(pin.found, name, "it is gone", describe(bytes, version));
    if (file.bytes === bytes && file.version === version) continue;
    throw changed(pin.found, name, `it is ${describe(file.bytes, file.version)}`, describe(bytes, version));
  }
}

function describe(bytes: number, version: string | undefined): string {
  const size = `${formatCount(bytes)} bytes`;
  return version === undefined ? size : `${size} with version ${quote(version)}`;
}

function changed(url: string, name: string, now: string, before: string): AmalgamError {
  const remedy = "put it back, or begin anew with --overwrite";
  return new AmalgamError(
    "checkpoint_changed",
    `Cannot go on: ${quote(name)} of ${quote(url)} was changed since the merge began, when it was ${before}: ${now}; ${remedy}`,
    { details: { file: url } },
  );
}
