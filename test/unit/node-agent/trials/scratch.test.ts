import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { pagesOf, placeForTrials, Scratch } from "../../../../node-agent/trials/scratch.js";
import { withTempDir } from "../../../support/checkpoints.js";
import { killedIn } from "../../../support/own-folders.js";

test("an agent's folder is there once it is needed, is nobody else's, and goes with all that is in it", async () => {
  await using parent = await withTempDir();
  const scratch = new Scratch(parent.path);
  const [first, second] = [scratch.newPath("weights"), scratch.newPath("weights")];
  expect(first).not.toBe(second);
  expect(statSync(scratch.path).mode & 0o777).toBe(0o700);
  mkdirSync(first);
  writeFileSync(second, "x");
  const { path } = scratch;
  scratch[Symbol.dispose]();
  expect(existsSync(path)).toBe(false);
});

test("memory and folder may be told, and none is wanted with a size of 0", async () => {
  await using folder = await withTempDir();
  const told = { trialFolder: folder.path, trialMemoryBytes: 5 };
  expect(await placeForTrials(told)).toEqual({ folder: folder.path, bytes: 5 });
  expect((await placeForTrials({ trialFolder: folder.path }))?.bytes).toBeGreaterThan(0);
  expect(await placeForTrials({ ...told, trialMemoryBytes: 0 })).toBeUndefined();
  expect((await placeForTrials({ ...told, agentsHere: 4 }))?.bytes).toBe(5);
  const missing = join(folder.path, "none");
  await expect(placeForTrials({ trialFolder: missing })).rejects.toThrow(/^Cannot run trials in ".*none": /);
});

test.each([
  [0, 0],
  [1, 4_096],
  [4_096, 4_096],
  [4_097, 8_192],
])("a file of %i bytes takes %i bytes of memory", (bytes, expected) => {
  expect(pagesOf(bytes)).toBe(expected);
});

test("what a killed agent has left is gone before room is measured, unless no trials are to be run", async () => {
  await using folder = await withTempDir();
  const left = await killedIn(folder.path, "amalgam-trials-");
  await placeForTrials({ trialFolder: folder.path, trialMemoryBytes: 0 });
  expect(existsSync(left)).toBe(true);
  await placeForTrials({ trialFolder: folder.path });
  expect(existsSync(left)).toBe(false);
});

test("agents of one machine share what they take by default", async () => {
  await using folder = await withTempDir();
  const places = [1, 4].map((agentsHere) => placeForTrials({ trialFolder: folder.path, agentsHere }));
  const [alone, fourth] = (await Promise.all(places)).map((place) => place?.bytes);
  expect(fourth).toBeGreaterThan(0);
  // Others take memory meanwhile.
  expect(fourth).toBeLessThan((alone ?? 0) / 2);
});
