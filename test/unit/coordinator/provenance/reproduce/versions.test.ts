import { expect, test } from "vitest";
import { type Manifest, recipeFacts } from "../../../../../coordinator/assemble/manifest.js";
import { checkVersions } from "../../../../../coordinator/provenance/reproduce/versions.js";

const own = { amalgam: "2.0.0", kernels: "2" };

function check(
  madeWith: Partial<Manifest["madeWith"]>,
  force = false,
  recipe = recipeFacts("text"),
): readonly string[] {
  const manifest = { madeWith: { amalgam: "2.0.0", node: "20", ...madeWith }, recipe } as unknown as Manifest;
  return checkVersions(manifest, { force }, own);
}

test("checkVersions() has nothing to say of the same Amalgam", () => {
  expect(check({ kernels: "2" })).toEqual([]);
});

test("checkVersions() warns of another Amalgam, and of one that did not say what its arithmetic was", () => {
  expect(check({ kernels: "2", amalgam: "1.9.0" })).toEqual(['It was made with Amalgam "1.9.0", and this is "2.0.0"']);
  expect(check({})).toEqual(["The manifest does not say with which kernels it was made"]);
});

test("checkVersions() refuses other kernels unless it is forced to", () => {
  const message = 'it was made with kernels "1", and these are "2"';
  expect(() => check({ kernels: "1" })).toThrow(
    `Cannot reproduce it: ${message}, so bits may differ; take Amalgam "2.0.0"`,
  );
  expect(check({ kernels: "1" }, true)).toEqual([`Bits may differ: ${message}`]);
});

test("checkVersions() refuses a recipe that is not the one whose digest is there, forced or not", () => {
  const recipe = { ...recipeFacts("text"), text: "other" };
  expect(() => check({ kernels: "2" }, true, recipe)).toThrow("the manifest's recipe was changed");
});
