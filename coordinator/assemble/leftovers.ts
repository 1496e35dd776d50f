import { lstat, rename, rm, rmdir, unlink } from "node:fs/promises";
import { AmalgamError } from "../../shared/errors.js";
import type { Plan } from "../plan/types.js";
import { hasErrno, syncDirectory } from "./durable.js";
import { Lock } from "./lock.js";
import { entriesOf, readStaging, type StagingEntries, type StagingEntry, stagingRoot } from "./staging-paths.js";

/**
 * Removes what a crash right after the commit left beside an output that is complete: the journal, the lock, and the
 * output that was replaced. What another plan staged there is not touched, nor anything while somebody holds the lock,
 * who is about to do the same.
 */
export async function removeLeftovers(plan: Plan, output: string): Promise<void> {
  const root = stagingRoot(output);
  if ((await readStaging(root)) === undefined) return;
  try {
    await using lock = await Lock.take(root);
    await removeFinished(lock, plan);
  } catch (error) {
    if (!(error instanceof AmalgamError)) throw error;
    return;
  }
  await removeEmpty(root);
}

/** The same for the one who holds the lock. */
export async function removeFinished(lock: Lock, plan: Plan): Promise<void> {
  const digest = await stagedPlan(await readStaging(lock.paths.root));
  if (digest === undefined || digest === plan.digest) await removeStaged(lock);
}

/** The digest of the plan whose work is staged; undefined when there is no work that anybody could go on from. */
export async function stagedPlan(entries: StagingEntries | undefined): Promise<string | undefined> {
  const journals = entriesOf(entries, "journal");
  if (journals.length === 0) return undefined;
  const { readJournal } = await import("./read-journal.js");
  for (const { path } of journals) {
    const [first] = (await readJournal(path))?.records ?? [];
    if (first?.type === "job") return first.planDigest;
  }
  return undefined;
}

/**
 * Removes all but the lock, for the one who holds it. What keeps earlier holders from moving the output aside goes last
 * (see `barPredecessors`), so that what they do late meets it, or no directory at all.
 */
export async function removeStaged(lock: Lock): Promise<void> {
  const { paths, generation } = lock;
  await endUploads(paths.root);
  const all = (await readStaging(paths.root))?.ours ?? [];
  const entries = all.filter((entry) => entry.path !== paths.lock && entry.generation <= generation);
  const bars = new Set<StagingEntry>();
  for (const entry of entries) {
    if (entry.kind === "replaced" && entry.generation < generation && !(await isDirectory(entry.path))) bars.add(entry);
    else if (entry.kind !== "output") await rm(entry.path, { recursive: true, force: true });
  }
  await removeFiles(lock);
  // Never a directory: what was moved there since we looked is the output.
  for (const { path } of bars) await unlink(path).catch(passOver("ENOENT", "EISDIR", "EPERM"));
}

/**
 * Takes back what was sent to a server and is not part of an output: nobody would know of it once the staging directory is
 * gone, and it costs money as long as it is there.
 */
export async function endUploads(root: string): Promise<void> {
  if (entriesOf(await readStaging(root), "uploads").length === 0) return;
  const { endRecordedUploads } = await import("../sinks/s3/end-uploads.js");
  await endRecordedUploads(root);
}

/**
 * Removes staged files. Each directory is first moved to a name of ours, so that an earlier holder that wakes up makes
 * all of it the output or nothing.
 */
export async function removeFiles({ paths, generation }: Lock): Promise<void> {
  await rm(paths.files, { recursive: true, force: true });
  for (const entry of entriesOf(await readStaging(paths.root), "output")) {
    if (entry.generation >= generation) continue;
    await rename(entry.path, paths.files).catch(passOver("ENOENT"));
    await rm(paths.files, { recursive: true, force: true });
  }
}

/** Puts back an output that was moved aside to be replaced, if nothing has taken its place. */
export async function restoreReplaced(replaced: string, output: string, root: string): Promise<void> {
  try {
    // The slash makes it fail for the file that bars the place, which must never become the output.
    await rename(`${replaced}/`, output);
    await syncDirectory(root);
  } catch (error) {
    if (!hasErrno(error, "ENOENT", "ENOTEMPTY", "EEXIST", "ENOTDIR", "EISDIR")) throw error;
  }
}

/** Removes a directory unless something is in it, such as what another process began meanwhile. */
export async function removeEmpty(directory: string): Promise<void> {
  await rmdir(directory).catch(passOver("ENOENT", "ENOTEMPTY", "EEXIST"));
}

function isDirectory(path: string): Promise<boolean> {
  return lstat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

function passOver(...names: readonly string[]): (error: unknown) => void {
  return (error) => {
    if (!hasErrno(error, ...names)) throw error;
  };
}
