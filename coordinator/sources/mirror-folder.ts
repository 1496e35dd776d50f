import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { formatBytes } from "../../shared/bytes.js";
import { mapBounded } from "../../shared/checkpoint/bounded.js";
import { lengthBytes, maxHeaderBytes } from "../../shared/checkpoint/header-limits.js";
import { readFully } from "../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../shared/errors.js";
import { formatCount, quote } from "../../shared/quote.js";

/** A file of a model that is elsewhere, and how its bytes are had. */
export interface ElsewhereFile {
  /** In the model's folder. It comes from elsewhere, and becomes a name here. */
  readonly name: string;
  readonly bytes: number;
  /** Bytes of it, exactly so many. The caller has limited `length`. */
  readonly read: (offset: number, length: number) => Promise<Uint8Array>;
  /**
   * When the mirror says that it was modified, in milliseconds since 1970: another time for another state of the file,
   * which is what a resumed job compares. `start` is what the mirror begins with: all of a small file, or a header.
   */
  readonly modifiedMs: (start: Uint8Array) => number;
  /** What that would be, where it is known without reading: a mirror of the file as it is now is not made again. */
  readonly knownMs?: number | undefined;
}

export interface MirrorFolderOptions {
  /** What messages call the model. */
  readonly model: string;
  readonly files: readonly ElsewhereFile[];
  /** The folder that becomes the mirror; made if need be. Files in it that are not the model's are removed. */
  readonly into: string;
  /** The one safetensors file that is wanted. Default: all of them. */
  readonly only?: string | undefined;
  /** Files read at once. */
  readonly concurrency: number;
}

/** A file of a mirror. */
export interface MirrorCopy {
  readonly path: string;
  /** As {@link ElsewhereFile.modifiedMs} says; the file system may round it. */
  readonly modifiedMs: number;
}

/** What is read of a model beside its weights: configuration, index, tokenizer, templates, its card and licence. */
const smallFile =
  /\.(?:json|jinja|txt|model)$|^(?:README\.md|NOTICE(?:\.\w+)?|USE_POLICY\.md|COPYING|LICEN[CS]E(?:\.\w+)?)$/;
const maxSmallBytes = 64 << 20;
const maxSmallBytesInAll = 256 << 20;
const maxFiles = 10_000;

/** See `writeMirror()`. Another coordinator may be at it. */
const unfinishedName = /\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Nine headers in ten are smaller. */
const firstBytes = 64 << 10;

/**
 * Makes a folder from which a model that is elsewhere can be planned: small files whole, of safetensors files the header
 * and behind it a hole of the size of the data. Returns the mirror's files by name.
 */
export async function mirrorFolder(options: MirrorFolderOptions): Promise<ReadonlyMap<string, MirrorCopy>> {
  const { model, into, only, concurrency } = options;
  const files = options.files.filter(({ name }) => isWanted(name, only));
  assertSize(model, files);
  await mkdir(into, { recursive: true });
  const copies = await mapBounded(files, concurrency, async (file) => {
    const path = join(into, file.name);
    return [file.name, { path, modifiedMs: await mirrorFile(path, file) }] as const;
  });
  await removeOthers(into, new Set(files.map(({ name }) => name)), only !== undefined);
  return new Map(copies);
}

/**
 * What an earlier mirror had and the model has no more: an index that was left would be planned from, and holes be merged.
 * Files that are asked for one by one share a mirror.
 */
async function removeOthers(into: string, names: ReadonlySet<string>, sparesWeights: boolean): Promise<void> {
  for (const entry of await readdir(into, { withFileTypes: true })) {
    const { name } = entry;
    const isSpared = names.has(name) || unfinishedName.test(name) || (sparesWeights && isWeights(name));
    if (entry.isFile() && !isSpared) await rm(join(into, name), { force: true });
  }
}

async function mirrorFile(path: string, file: ElsewhereFile): Promise<number> {
  if (file.knownMs !== undefined && (await isMirrored(path, file.bytes, file.knownMs))) return file.knownMs;
  const start = isWeights(file.name) ? await readHeader(file) : await file.read(0, file.bytes);
  const modifiedMs = file.modifiedMs(start);
  await writeMirror(path, start, file.bytes, modifiedMs);
  return modifiedMs;
}

export function isWeights(name: string): boolean {
  return name.endsWith(".safetensors");
}

function isWanted(name: string, only: string | undefined): boolean {
  if (name.includes("/") || name.includes("\\") || /\p{C}/u.test(name) || name.startsWith(".")) return false;
  if (isWeights(name)) return only === undefined || only === name;
  return smallFile.test(name);
}

function assertSize(model: string, files: readonly ElsewhereFile[]): void {
  const refuse = (problem: string): AmalgamError =>
    new AmalgamError("checkpoint_malformed", `Cannot mirror ${quote(model)}: ${problem}`, { details: { file: model } });
  if (files.length > maxFiles) throw refuse(`it has ${formatCount(files.length)} files, the limit is ${maxFiles}`);
  let total = 0;
  for (const { name, bytes } of files) {
    if (isWeights(name)) continue;
    total += bytes;
    if (bytes <= maxSmallBytes) continue;
    throw refuse(`${quote(name)} has ${formatBytes(bytes)}, above the limit of ${formatBytes(maxSmallBytes)}`);
  }
  if (total <= maxSmallBytesInAll) return;
  const [has, limit] = [formatBytes(total), formatBytes(maxSmallBytesInAll)];
  throw refuse(`its files beside the weights have ${has}, above the limit of ${limit}`);
}

/** The header of a safetensors file, its length included; what is none is for the planner to refuse. */
async function readHeader({ bytes, read }: ElsewhereFile): Promise<Uint8Array> {
  const first = await read(0, Math.min(firstBytes, bytes));
  if (first.length < lengthBytes) return first;
  const length = new DataView(first.buffer, first.byteOffset).getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes)) return first;
  const end = Math.min(lengthBytes + Number(length), bytes);
  if (end <= first.length) return first.subarray(0, end);
  return Buffer.concat([first, await read(first.length, end - first.length)]);
}

async function isMirrored(path: string, bytes: number, modifiedMs: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() !== true || found.size !== bytes || Math.abs(found.mtimeMs - modifiedMs) >= 1) return false;
  // A power cut may have taken what had not come to the disk, and left the size: neither a header nor a text begins so.
  const begin = new Uint8Array(Math.min(lengthBytes, bytes));
  await using file = await open(path);
  await readFully(file, begin, 0);
  return begin.length === 0 || begin.some((byte) => byte !== 0);
}

/**
 * By a rename: another coordinator may plan from the mirror that is there, or write the same one. What is unfinished has
 * a name that no reader of checkpoints takes for a part of the model.
 */
async function writeMirror(copy: string, start: Uint8Array, bytes: number, modifiedMs: number): Promise<void> {
  const unfinished = `${copy}.${randomUUID()}`;
  try {
    await using file = await open(unfinished, "wx", 0o600);
    await file.writeFile(start);
    // The rest is a hole: it takes no space.
    await file.truncate(bytes);
    await file.close();
    await utimes(unfinished, modifiedMs / 1000, modifiedMs / 1000);
    await rename(unfinished, copy);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}
