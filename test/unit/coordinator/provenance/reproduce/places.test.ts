import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { findNamed, readPlaces } from "../../../../../coordinator/provenance/reproduce/places.js";
import { withTempDir } from "../../../../support/checkpoints.js";

const known = new Set(["./a", "./a=1", "owner/name@main"]);

test("readPlaces() takes the longest name that is known, and paths from the current folder on", () => {
  expect([...readPlaces(["./a=x", "./a=1=y", "owner/name@main=hf://other/name"], known)]).toEqual([
    ["./a", resolve("x")],
    ["./a=1", resolve("y")],
    ["owner/name@main", "hf://other/name"],
  ]);
});

test.each([
  ["./b=x", /no model is called "\.\/b", did you mean "\.\/a"\?$/],
  ["./a", /no model is called "\.\/a"/],
  ["./a=", /its path is empty$/],
])("readPlaces() refuses %s", (word, message) => {
  expect(() => readPlaces([word], known)).toThrow(message);
});

test("findNamed() looks where it is told, then beside the manifest, and says what to do otherwise", async () => {
  await using dir = await withTempDir();
  await mkdir(join(dir.path, "here"));
  expect(await findNamed("here", new Map([["here", "/there"]]), dir.path)).toBe("/there");
  expect(await findNamed("here", new Map(), dir.path)).toBe(join(dir.path, "here"));
  await expect(findNamed("gone", new Map(), dir.path)).rejects.toThrow(/say where it is with --model "gone=PATH"$/);
});
