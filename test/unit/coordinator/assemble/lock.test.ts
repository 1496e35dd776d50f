import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Lock } from "../../../../coordinator/assemble/lock.js";
import { isRunning, thisProcess } from "../../../../coordinator/assemble/process-identity.js";
import { withTempDir } from "../../../support/checkpoints.js";

/** A lock file as another process would have left it. */
function holder(changes: object): string {
  return JSON.stringify({ token: "theirs", ...thisProcess(), host: "elsewhere", beat: 1, ...changes });
}

interface Theirs extends AsyncDisposable {
  readonly folder: string;
  readonly root: string;
  readonly lock: string;
}

/** A staging directory that another process has, as generation 7. */
async function withTheirs(content: string): Promise<Theirs> {
  const dir = await withTempDir();
  const root = join(dir.path, "out.amalgam-partial");
  await mkdir(root);
  await writeFile(join(root, "lock.7"), content);
  return {
    folder: dir.path,
    root,
    lock: join(root, "lock.7"),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

test("A lock is held by one and refused to others with the holder's name", async () => {
  await using dir = await withTempDir();
  const root = join(dir.path, "out.amalgam-partial");
  const lock = await Lock.take(root);
  await expect(Lock.take(root)).rejects.toThrow(`process ${process.pid} on`);
  await expect(Lock.take(root)).rejects.toMatchObject({ code: "output_refused" });
  await lock.assertHeld();
  await lock[Symbol.asyncDispose]();
  expect(await readdir(dir.path)).toEqual(["out.amalgam-partial"]);
  expect(await readdir(root)).toEqual([]);
  await using again = await Lock.take(root);
  await again.assertHeld();
  expect(await readdir(dir.path)).toEqual(["out.amalgam-partial"]);
});

test("A generation is above all that is there, and above those of a directory that is gone", async () => {
  await using theirs = await withTheirs(holder({ started: "1" }));
  await writeFile(join(theirs.root, "journal.41.jsonl"), "");
  {
    await using lock = await Lock.take(theirs.root);
    expect(lock.generation).toBe(42);
  }
  const before = Date.now();
  await using lock = await Lock.take(join(theirs.folder, "fresh.amalgam-partial"));
  expect(lock.generation).toBeGreaterThanOrEqual(before);
});

test("A lock of a process that has died does not block", async () => {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  await once(child, "spawn");
  const { started } = thisProcess();
  const stat = await readFile(`/proc/${child.pid}/stat`, "latin1").catch(() => undefined);
  const childStarted = stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  await using theirs = await withTheirs(holder({ pid: child.pid, started: started && childStarted }));
  await expect(Lock.take(theirs.root)).rejects.toThrow("is merging into the same output");
  child.kill("SIGKILL");
  await once(child, "exit");
  await using lock = await Lock.take(theirs.root);
  await lock.assertHeld();
});

test("A lock whose pid belongs to a younger process by now does not block", async ({ skip }) => {
  if (thisProcess().started === undefined) skip("there is no /proc to tell when a process started");
  await using theirs = await withTheirs(holder({ started: "1" }));
  await using lock = await Lock.take(theirs.root);
  await lock.assertHeld();
});

test.each([
  ["another machine", { machine: "another" }, undefined],
  ["this machine, for one with a lease", {}, { job: "job", epoch: 1 }],
])("A lock of a process on %s blocks while its holder shows that it lives", async (_, changes, authority) => {
  await using theirs = await withTheirs(holder(changes));
  let beat = 1;
  const timer = setInterval(() => {
    beat += 1;
    writeFileSync(theirs.lock, holder({ ...changes, beat }));
  }, 20);
  try {
    await expect(Lock.take(theirs.root, { patienceMs: 2_000, authority })).rejects.toThrow('on "elsewhere"');
  } finally {
    clearInterval(timer);
  }
});

test.each([
  ["on another machine", { machine: "another" }, undefined],
  ["that is frozen, by one with a lease", {}, { job: "job", epoch: 1 }],
])("A lock of a process %s is taken over when its holder is silent", async (_, changes, authority) => {
  await using theirs = await withTheirs(holder(changes));
  await using lock = await Lock.take(theirs.root, { patienceMs: 50, authority });
  await lock.assertHeld();
  expect(lock.generation).toBe(8);
});

test("A process that is there and silent keeps its lock from one without a lease", async () => {
  await using theirs = await withTheirs(holder({}));
  await expect(Lock.take(theirs.root, { patienceMs: 0 })).rejects.toMatchObject({ code: "output_refused" });
});

test("A lease takes the lock from an earlier one of its job at once, and not from a later one that is alive", async () => {
  const alive = { machine: "another", authority: { job: "job", epoch: 3 } };
  await using theirs = await withTheirs(holder(alive));
  const patienceMs = 3_600_000;
  let beat = 1;
  const timer = setInterval(() => {
    beat += 1;
    writeFileSync(theirs.lock, holder({ ...alive, beat }));
  }, 20);
  try {
    await expect(Lock.take(theirs.root, { patienceMs, authority: { job: "job", epoch: 2 } })).rejects.toMatchObject({
      code: "fenced",
      message: expect.stringContaining("epoch 3, this one has epoch 2"),
    });
  } finally {
    clearInterval(timer);
  }
  await using lock = await Lock.take(theirs.root, { patienceMs, authority: { job: "job", epoch: 4 } });
  await lock.assertHeld();
});

test.each([
  ["whose process is gone", { started: "1", pid: 2 ** 30 }, 3_600_000],
  ["that is silent", { machine: "another" }, 50],
])("A later lease does not keep the lock for a holder %s: engines are set back", async (_, changes, patienceMs) => {
  await using theirs = await withTheirs(holder({ ...changes, authority: { job: "job", epoch: 40 } }));
  await using lock = await Lock.take(theirs.root, { patienceMs, authority: { job: "job", epoch: 3 } });
  await lock.assertHeld();
});

test.skipIf(!existsSync("/sys/kernel"))(
  "A place where nothing can be created is refused, and the author told",
  async () => {
    await expect(Lock.take("/sys/kernel/out.amalgam-partial")).rejects.toMatchObject({
      code: "output_refused",
      exitCode: 2,
      message: expect.stringMatching(/(not permitted|read-only), choose another output$/),
    });
  },
);

test("A lock file that its maker never finished does not block", async () => {
  await using theirs = await withTheirs('{"token":');
  await using lock = await Lock.take(theirs.root, { patienceMs: 50 });
  await lock.assertHeld();
});

test("A link planted in the place of the directory is not followed", async () => {
  await using dir = await withTempDir();
  const root = join(dir.path, "out.amalgam-partial");
  await symlink(join(dir.path, "nowhere"), root);
  await expect(Lock.take(root)).rejects.toThrow("it is not a directory");
  expect(await readdir(dir.path)).toEqual(["out.amalgam-partial"]);
});

test("assertHeld() notices that another process took the lock over, and theirs stays", async () => {
  await using dir = await withTempDir();
  const root = join(dir.path, "out.amalgam-partial");
  const lock = await Lock.take(root);
  const theirs = `lock.${lock.generation + 1}`;
  await writeFile(join(root, theirs), holder({}));
  await expect(lock.assertHeld()).rejects.toMatchObject({ code: "fenced" });
  await lock[Symbol.asyncDispose]();
  expect(await readdir(root)).toEqual([theirs]);
});

test.each([
  ["a new directory", undefined],
  ["a stale lock", holder({ started: "1", pid: 1 })],
])("Of many that find %s at once, one gets it", async (_, content) => {
  for (let round = 0; round < 10; round += 1) {
    await using theirs = await withTheirs(content ?? "");
    const root = content === undefined ? join(theirs.folder, "new.amalgam-partial") : theirs.root;
    const results = await Promise.allSettled(Array.from({ length: 16 }, () => Lock.take(root)));
    const locks = results.filter((result) => result.status === "fulfilled");
    expect(locks).toHaveLength(1);
    for (const { value } of locks) {
      await value.assertHeld();
      await value[Symbol.asyncDispose]();
    }
    expect((await readdir(root)).filter((name) => name !== "lock.7")).toEqual([]);
  }
});

test("isRunning() is true for this process and undefined for one on another machine", () => {
  const self = thisProcess();
  expect(isRunning(self)).toBe(true);
  expect(isRunning({ ...self, machine: "another" })).toBeUndefined();
  expect(isRunning({ ...self, started: undefined })).toBe(true);
  expect(isRunning({ ...self, pid: 2 ** 30, started: undefined })).toBe(false);
});
