import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ownName, removeOrphans } from "../../../../shared/child/orphans.js";
import { withTempDir } from "../../../support/checkpoints.js";

test("what a process left that has ended goes, and nothing else", async () => {
  await using parent = await withTempDir();
  const { pid } = spawnSync(process.execPath, ["--version"]);
  const make = (name: string): string => {
    mkdirSync(join(parent.path, name));
    writeFileSync(join(parent.path, name, "file"), "x");
    return join(parent.path, name);
  };
  const orphan = make(`made-${pid}-0123abcd`);
  const kept = [
    make(ownName("made-")),
    make(`other-${pid}-0123abcd`),
    make(`made-${pid}`),
    make(`made-${pid}-mine`),
    make("made-0-0123abcd"),
  ];
  writeFileSync(join(parent.path, `made-${pid}-ff`), "a file is none of ours");
  removeOrphans(parent.path, "made-");
  expect(existsSync(orphan)).toBe(false);
  expect(kept.filter(existsSync)).toEqual(kept);
  expect(existsSync(join(parent.path, `made-${pid}-ff`))).toBe(true);
  expect(ownName("made-")).not.toBe(ownName("made-"));
});

test("a folder that cannot be read is no reason to fail", () => {
  expect(() => removeOrphans("/nowhere/at/all", "made-")).not.toThrow();
});
