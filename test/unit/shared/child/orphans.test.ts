import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { removeOrphans } from "../../../../shared/child/orphans.js";
import { OwnFolder } from "../../../../shared/child/own-folder.js";
import { withTempDir } from "../../../support/checkpoints.js";
import { killedIn, startOwner } from "../../../support/own-folders.js";

const prefix = "made-";

test("what a process left that was killed goes, and nothing else", async () => {
  await using parent = await withTempDir();
  const killed = async (named: (path: string) => string = (path) => path): Promise<string> => {
    const path = await killedIn(parent.path, prefix);
    writeFileSync(join(path, "file"), "x");
    renameSync(path, named(path));
    return named(path);
  };
  const orphans = [
    await killed(),
    // As after a restart of a container, where the first process always has the same number.
    await killed((path) => path.replace(/made-\d+/, `made-${process.pid}`)),
  ];
  using own = new OwnFolder(parent.path, prefix);
  const socketless = own.path.replace(/.{12}$/, "0123456789ab");
  mkdirSync(socketless);
  const file = own.path.replace(/.{12}$/, "0123456789cd");
  writeFileSync(file, "");
  const kept = [
    own.path,
    socketless,
    file,
    await killed((path) => path.replace("made-", "other-")),
    await killed((path) => path.replace(/-[0-9a-f]{8}-/, "-00000000-")),
  ];
  await removeOrphans(parent.path, prefix);
  expect(orphans.filter(existsSync)).toEqual([]);
  expect(kept.filter(existsSync)).toEqual(kept);
});

test("a folder that is being made is given the time", async () => {
  await using parent = await withTempDir();
  const path = await killedIn(parent.path, prefix);
  const begun = `${path}.new`;
  renameSync(path, begun);
  await removeOrphans(parent.path, prefix);
  expect(existsSync(begun)).toBe(true);
  const before = new Date(Date.now() - 3_600_000);
  utimesSync(begun, before, before);
  await removeOrphans(parent.path, prefix);
  expect(existsSync(begun)).toBe(false);
});

test("the folder of a process that is frozen stays", async () => {
  await using parent = await withTempDir();
  await using owner = await startOwner(parent.path, prefix);
  owner.process.kill("SIGSTOP");
  await removeOrphans(parent.path, prefix);
  expect(existsSync(owner.folder)).toBe(true);
});

const unshare = ["unshare", "--pid", "--fork", "--kill-child"];

test.skipIf(spawnSync("unshare", [...unshare.slice(1), "true"]).status !== 0)(
  "a process in a container of its own, where it is number 1, is known to live, and to have ended (needs unshare)",
  async () => {
    await using parent = await withTempDir();
    const folder = await (async () => {
      await using owner = await startOwner(parent.path, prefix, unshare);
      expect(basename(owner.folder)).toMatch(/^made-1-/);
      await removeOrphans(parent.path, prefix);
      expect(existsSync(owner.folder)).toBe(true);
      return owner.folder;
    })();
    await expect
      .poll(async () => {
        await removeOrphans(parent.path, prefix);
        return existsSync(folder);
      })
      .toBe(false);
  },
);

test("a folder is its user's alone, no two are the same, and it goes when it is let go", async () => {
  await using parent = await withTempDir();
  const [one, two] = [new OwnFolder(parent.path, prefix), new OwnFolder(parent.path, prefix)];
  expect(one.path).not.toBe(two.path);
  expect(statSync(one.path).mode & 0o777).toBe(0o700);
  writeFileSync(join(one.path, "file"), "x");
  for (const folder of [one, two, one]) folder[Symbol.dispose]();
  expect([one.path, two.path].filter(existsSync)).toEqual([]);
});

test("a path that is too long for a socket is one to work in", async () => {
  await using parent = await withTempDir();
  const long = join(parent.path, "x".repeat(120));
  mkdirSync(long);
  using folder = new OwnFolder(long, prefix);
  await removeOrphans(long, prefix);
  expect(existsSync(folder.path)).toBe(true);
});

test("a folder that cannot be read is no reason to fail", async () => {
  await removeOrphans("/nowhere/at/all", prefix);
});
