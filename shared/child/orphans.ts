import { lstatSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { isBegun, socketOf } from "./own-folder.js";

/**
 * Removes what is left of folders (`OwnFolder`) of this user's processes that were killed. What cannot be told or removed
 * stays: that is no reason not to work.
 */
export async function removeOrphans(parent: string, prefix: string): Promise<void> {
  const names = await readdir(parent).catch((): readonly string[] => []);
  const removals = names.map(async (name) => {
    const socket = socketOf(parent, name, prefix);
    const path = join(parent, name);
    if (socket === undefined || !isOurs(path, isBegun(name) ? beginningMs : 0) || !(await isDeaf(socket))) return;
    await rm(path, { recursive: true, force: true }).catch(() => undefined);
  });
  await Promise.all(removals);
}

/** For a moment a socket is there and nobody listens yet, which may be long where the machine is busy. */
const beginningMs = 60_000;

/** Whether it is a folder of this user's, and has been for so long. */
function isOurs(path: string, leastMs: number): boolean {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats?.isDirectory() !== true || stats.uid !== process.getuid?.()) return false;
  return leastMs === 0 || Date.now() - stats.mtimeMs >= leastMs;
}

/** Whether nobody listens on it. Who is frozen does: the system takes calls for them. */
function isDeaf(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const tell = (isDeaf: boolean): void => {
      socket.destroy();
      resolve(isDeaf);
    };
    socket.once("connect", () => tell(false));
    socket.once("error", ({ code }: NodeJS.ErrnoException) => tell(code === "ECONNREFUSED"));
  });
}
