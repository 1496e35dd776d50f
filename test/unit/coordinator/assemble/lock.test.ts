import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Lock } from "../../../../coordinator/assemble/lock.js";
import { isRunning, thisProcess } from "../../../../coordinator/assemble/process-identity.js";
import { withTempDir } from "../../../support/checkpoints.js";

/** A lock file as another process would have left it. */
function holder(changes: object): string {
  return JSON.stringify({ token: "theirs", ...thisProcess(), host: "elsewhere", beat: 1, ...changes });
}

test("A lock is held by one and refused to others with the holder's name", async () => {
  await using dir = await withTempDir();
  const path = join(dir.path, "lock");
  const lock = await Lock.take(path);
  await expect(Lock.take(path)).rejects.toThrow(`process ${process.pid} on`);
  await expect(Lock.take(path)).rejects.toMatchObject({ code: "output_refused" });
  await lock.assertHeld();
  await lock[Symbol.asyncDispose]();
  expect(await readdir(dir.path)).toEqual([]);
  await using again = await Lock.take(path);
  await again.assertHeld();
});

test("A lock of a process that has died does not block", async () => {
  await using dir = await withTempDir();
  const path = join(dir.path, "lock");
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  await once(child, "spawn");
  const { started } = thisProcess();
  const stat = await readFile(`/proc/${child.pid}/stat`, "latin1").catch(() => undefined);
  const childStarted = stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  await writeFile(path, holder({ pid: child.pid, started: started && childStarted }));
  await expect(Lock.take(path)).rejects.toThrow("is merging into the same output");
  child.kill("SIGKILL");
  await once(child, "exit");
  await using lock = await Lock.take(path);
  await lock.assertHeld();
});

test("A lock whose pid belongs to a younger process by now does not block", async () => {
  if (thisProcess().started === undefined) return;
  await using dir = await withTempDir();
  const path = join(dir.path, "lock");
  await writeFile(path, holder({ started: "1" }));
  await using lock = await Lock.take(path);
  await lock.assertHeld();
});

test("A lock of another machine blocks while its holder shows that it lives", async () => {
  await using dir = await withTempDir();
  const path = join(dir.path, "lock");
  let beat = 1;
  await writeFile(path, holder({ machine: "another" }));
  const timer = setInterval(() => {
    beat += 1;
    writeFileSync(path, holder({ machine: "another", beat }));
  }, 20);
  try {
    await expect(Lock.take(path, { patienceMs: 2_000 })).rejects.toThrow('on "elsewhere"');
  } finally {
    clearInterval(timer);
  }
});

test("A lock of another machine is taken over when its holder is silent", async () => {
  await using dir = await withTempDir();
  const path = join(dir.path, "lock");
  await writeFile(path, holder({ machine: "another" }));
  await using lock = await Lock.take(path, { patienceMs: 50 });
  await lock.assertHeld();
});

test("A lock file that its maker never finished does not block", async () => {
  await using dir = await withTempDir();
  const path = join(dir.path, "lock");
  await writeFile(path, '{"token":');
  await using lock = await Lock.take(path, { patienceMs: 50 });
  await lock.assertHeld();
});

test("assertHeld() notices that another process took the lock over, and it is left to them", async () => {
  await using dir = await withTempDir();
  const path = join(dir.path, "lock");
  {
    await using lock = await Lock.take(path);
    await writeFile(path, holder({}));
    await expect(lock.assertHeld()).rejects.toThrow("was taken over by another process");
  }
  expect(await readFile(path, "utf8")).toBe(holder({}));
});

test("Of many that find a stale lock at once, one gets it", async () => {
  for (let round = 0; round < 10; round += 1) {
    await using dir = await withTempDir();
    const path = join(dir.path, "lock");
    await writeFile(path, holder({ started: "1", pid: 1 }));
    const results = await Promise.allSettled(Array.from({ length: 16 }, () => Lock.take(path)));
    const locks = results.filter((result) => result.status === "fulfilled");
    expect(locks).toHaveLength(1);
    for (const { value } of locks) await value[Symbol.asyncDispose]();
    expect(await readdir(dir.path)).toEqual([]);
  }
});

test("isRunning() is true for this process and undefined for one on another machine", () => {
  const self = thisProcess();
  expect(isRunning(self)).toBe(true);
  expect(isRunning({ ...self, machine: "another" })).toBeUndefined();
  expect(isRunning({ ...self, started: undefined })).toBe(true);
  expect(isRunning({ ...self, pid: 2 ** 30, started: undefined })).toBe(false);
});
