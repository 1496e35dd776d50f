import { constants } from "node:fs";
import { type FileHandle, lstat, mkdir, rename, rm } from "node:fs/promises";
import type { Plan } from "../plan/types.js";
import { hasErrno, openOwn, syncDirectory, writeFully } from "./durable.js";
import { formatRecord } from "./format-record.js";
import { type ForeignHistory, type JobHistory, jobRecord, readHistory, type Software } from "./job-history.js";
import { endUploads, removeFiles, restoreReplaced } from "./leftovers.js";
import type { Lock } from "./lock.js";
import { entriesOf, readStaging, type StagingKind, stagingPaths } from "./staging-paths.js";

const copyBytes = 1 << 20;
/** A frozen process wakes up in between at most once for each of its steps. */
const maxTries = 4;

/**
 * Makes sure that no earlier holder of the lock can move the output aside any more, whenever it wakes up: where it would
 * move it to stands a file, and no directory can be renamed to that. An output that one of them did move aside goes back
 * to its place. Then their locks are removed.
 */
export async function barPredecessors(lock: Lock, output: string): Promise<void> {
  const { root } = lock.paths;
  const entries = await readStaging(root);
  for (const replaced of entriesOf(entries, "replaced")) {
    if (replaced.generation < lock.generation) await restoreReplaced(replaced.path, output, root);
  }
  for (const predecessor of entriesOf(entries, "lock")) {
    if (predecessor.generation >= lock.generation) continue;
    const { replaced } = stagingPaths(root, predecessor.generation);
    for (let tries = 0; tries < maxTries && !(await bar(replaced)); tries += 1) {
      await restoreReplaced(replaced, output, root);
    }
    await rm(predecessor.path, { force: true });
  }
}

/** False when a directory stands there. */
async function bar(replaced: string): Promise<boolean> {
  try {
    await using _ = await openOwn(replaced, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
    return true;
  } catch (error) {
    if (!hasErrno(error, "EEXIST")) throw error;
    return (await lstat(replaced).catch(() => undefined))?.isFile() ?? false;
  }
}

/** What the journal that lies there says about this plan. */
export async function readPredecessor(
  lock: Lock,
  plan: Plan,
  software: Software,
): Promise<{ readonly path: string; readonly history: JobHistory | ForeignHistory | undefined } | undefined> {
  for (let tries = 0; tries < maxTries; tries += 1) {
    const [latest] = entriesOf(await readStaging(lock.paths.root), "journal");
    if (latest === undefined) return undefined;
    // Most jobs find none, and do without what reads it.
    const { readJournal } = await import("./read-journal.js");
    const contents = await readJournal(latest.path);
    // Its owner, itself in the midst of taking over, replaced it as we looked.
    if (contents !== undefined) return { path: latest.path, history: readHistory(contents, plan, software) };
  }
  return undefined;
}

/**
 * Moves the staged files of earlier holders to a name of ours, by one rename. From then on none of them can make these
 * files the output, and agents that still write for them find no file. Handles that are open stay so; what comes through
 * them are the same bytes, and the commit reads them once more.
 */
export async function adoptFiles(lock: Lock): Promise<void> {
  const { root, files } = lock.paths;
  for (;;) {
    const [latest] = entriesOf(await readStaging(root), "output");
    try {
      if (latest === undefined) await mkdir(files);
      else await rename(latest.path, files);
      break;
    } catch (error) {
      // An earlier holder that was just making it the output did; another look at the output says so.
      if (latest === undefined || !hasErrno(error, "ENOENT")) throw error;
      await lock.assertHeld();
    }
  }
  await syncDirectory(root);
  await removePredecessors(lock, "output");
}

/** Begins with no files. Bytes of another plan must not be among ours, nor come through handles that are still open. */
export async function beginFiles(lock: Lock): Promise<void> {
  await endUploads(lock.paths.root);
  await removePredecessors(lock, "journal", "unfinished-journal", "uploads", "unfinished-uploads");
  await removeFiles(lock);
  await mkdir(lock.paths.files);
  await syncDirectory(lock.paths.root);
}

/** Begins our journal, with what can be trusted of the one at `path` or with the job's first record; returns its size. */
export async function adoptJournal(
  lock: Lock,
  plan: Plan,
  software: Software,
  trusted: { readonly path: string; readonly bytes: number } | undefined,
): Promise<number> {
  const { root, journal } = lock.paths;
  const unfinished = `${journal}.new`;
  let size = trusted?.bytes ?? 0;
  {
    await using to = await openOwn(unfinished, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC);
    if (trusted === undefined) {
      const first = Buffer.from(formatRecord(jobRecord(plan, software)));
      await writeFully(to, first, 0);
      size = first.length;
    } else await copyStart(trusted.path, to, size);
    await to.sync();
  }
  await rename(unfinished, journal);
  await syncDirectory(root);
  return size;
}

async function copyStart(path: string, to: FileHandle, bytes: number): Promise<void> {
  await using from = await openOwn(path, constants.O_RDONLY);
  const chunk = Buffer.alloc(copyBytes);
  for (let at = 0; at < bytes; ) {
    const { bytesRead } = await from.read(chunk, 0, Math.min(copyBytes, bytes - at), at);
    if (bytesRead === 0) throw new RangeError(`Journal ${path} became shorter than ${bytes} bytes`);
    await writeFully(to, chunk.subarray(0, bytesRead), at);
    at += bytesRead;
  }
}

/** Removes what earlier holders left of a kind. What they still append to it goes to a file without a name. */
export async function removePredecessors(lock: Lock, ...kinds: readonly StagingKind[]): Promise<void> {
  const entries = await readStaging(lock.paths.root);
  for (const entry of kinds.flatMap((kind) => entriesOf(entries, kind))) {
    if (entry.generation < lock.generation) await rm(entry.path, { recursive: true, force: true });
  }
}
