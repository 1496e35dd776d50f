import { lstat, readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { AmalgamError } from "../../shared/errors.js";
import { hasErrno } from "./durable.js";
import { Lock } from "./lock.js";
import type { StagingPaths } from "./staging-paths.js";

/**
 * Removes what a crash right after the commit left beside an output: the journal, the lock, and the output that was
 * replaced. Staged files there belong to another job, and then nothing is touched; neither is it while somebody holds
 * the lock, who is about to do the same.
 */
export async function removeLeftovers(layout: StagingPaths): Promise<void> {
  if (!(await exists(layout.root)) || (await exists(layout.files))) return;
  try {
    await using _ = await Lock.take(layout.lock);
    if (await exists(layout.files)) return;
    await removeStaged(layout);
  } catch (error) {
    if (!(error instanceof AmalgamError)) throw error;
    return;
  }
  await removeEmpty(layout.root);
}

/** Removes all but the lock, for the one who holds it. Locks that others died writing are gone with the rest. */
export async function removeStaged({ root, lock, journal, files, replaced }: StagingPaths): Promise<void> {
  const unfinished = (await readdir(root))
    .map((name) => join(root, name))
    .filter((path) => path.startsWith(`${lock}.`));
  for (const path of [journal, files, replaced, ...unfinished]) await rm(path, { recursive: true, force: true });
}

/** Removes a directory unless something is in it, such as what another process began meanwhile. */
export async function removeEmpty(directory: string): Promise<void> {
  try {
    await rmdir(directory);
  } catch (error) {
    if (!hasErrno(error, "ENOENT", "ENOTEMPTY", "EEXIST")) throw error;
  }
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
