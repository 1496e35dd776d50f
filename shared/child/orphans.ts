import { randomBytes } from "node:crypto";
import { lstatSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

// Folders of a process that end with it, and are known by their names when it was killed before it could remove them.

/** A name for a folder of this process: the prefix, its process id, and what no other folder has. */
export function ownName(prefix: string): string {
  return `${prefix}${process.pid}-${randomBytes(6).toString("hex")}`;
}

/** Removes the folders that processes of this user have left which have ended. */
export function removeOrphans(parent: string, prefix: string): void {
  for (const name of namesIn(parent)) {
    if (!name.startsWith(prefix)) continue;
    const pid = Number(/^(\d+)-[0-9a-f]+$/.exec(name.slice(prefix.length))?.[1]);
    if (!(pid > 0) || isAlive(pid)) continue;
    const path = join(parent, name);
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats?.isDirectory() === true && stats.uid === process.getuid?.())
      rmSync(path, { recursive: true, force: true });
  }
}

/** None where they are not to be read: what cannot be cleaned up is no reason not to work. */
function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
