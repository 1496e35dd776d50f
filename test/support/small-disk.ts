import { execFileSync } from "node:child_process";
import { mkdir, rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withTempDir } from "./checkpoints.js";

/** Why there is none, where there is none. */
export const noSmallDisk = "this process may not mount a file system";

/** A file system of its own, of some megabytes; undefined where this process may not mount one. */
export async function withSmallDisk(size = "24m"): Promise<({ readonly path: string } & AsyncDisposable) | undefined> {
  const dir = await withTempDir();
  const path = join(dir.path, "disk");
  await mkdir(path);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "amalgam-test", path], { stdio: "ignore" });
  } catch {
    await dir[Symbol.asyncDispose]();
    return undefined;
  }
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      execFileSync("umount", ["-l", path]);
      await dir[Symbol.asyncDispose]();
    },
  };
}

/** Why a disk cannot be had that hangs, if it cannot. */
export const noHangingDisk = "this process may not mount an ext4 file system and freeze it";

/**
 * A file system of its own that hangs while it is frozen: writes neither fail nor return. Undefined where this process
 * may not mount one.
 */
export async function withHangingDisk(size: string) {
  const dir = await withTempDir();
  const [image, path] = [join(dir.path, "image"), join(dir.path, "disk")];
  const run = (command: string, ...argv: readonly string[]): void => {
    execFileSync(command, argv, { stdio: "ignore" });
  };
  await mkdir(path);
  try {
    run("truncate", "-s", size, image);
    run("mkfs.ext4", "-q", image);
    run("mount", "-o", "loop", image, path);
  } catch {
    await dir[Symbol.asyncDispose]();
    return undefined;
  }
  let isFrozen = false;
  const thaw = (): void => {
    if (isFrozen) run("fsfreeze", "-u", path);
    isFrozen = false;
  };
  // Whoever writes to it cannot even be killed before.
  process.once("exit", thaw);
  return {
    path,
    freeze: (): void => {
      run("fsfreeze", "-f", path);
      isFrozen = true;
    },
    thaw,
    [Symbol.asyncDispose]: async () => {
      thaw();
      process.off("exit", thaw);
      run("umount", "-l", path);
      await dir[Symbol.asyncDispose]();
    },
  };
}

/** Takes all the room that is left; returns what gives it back. */
export async function fill(disk: string): Promise<() => Promise<void>> {
  const ballast = join(disk, "ballast");
  for (let bytes = 1 << 20; bytes >= 4096; bytes /= 4) {
    for (let free = await freeBytes(disk); free >= bytes; free = await freeBytes(disk)) {
      await writeFile(ballast, Buffer.alloc(Math.floor(free / bytes) * bytes), { flag: "a" }).catch(() => undefined);
      if ((await freeBytes(disk)) === free) break;
    }
  }
  return () => rm(ballast);
}

async function freeBytes(disk: string): Promise<number> {
  const { bavail, bsize } = await statfs(disk);
  return bavail * bsize;
}
