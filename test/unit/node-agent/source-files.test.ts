import { execFileSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createConfinement } from "../../../node-agent/roots.js";
import { UnitFiles } from "../../../node-agent/source-files.js";
import { temporaryFolder } from "../../support/dispatch.js";

test.each([
  ["a FIFO", (path: string) => void execFileSync("mkfifo", [path]), "it is a FIFO"],
  ["a folder", (path: string) => void execFileSync("mkdir", [path]), "EISDIR"],
])("UnitFiles does not write into %s", async (_, make, reason) => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "output");
  make(path);
  using files = open(folder.path, path);
  expect(() => files.write(0, new Uint8Array(8), 0)).toThrow(reason);
});

test("UnitFiles writes into a file that is there", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "output");
  await writeFile(path, "0123");
  using files = open(folder.path, path);
  files.write(0, Buffer.from("ab"), 1);
  expect(execFileSync("cat", [path]).toString()).toBe("0ab3");
});

function open(root: string, output: string): UnitFiles {
  const nothing = (): void => undefined;
  return new UnitFiles([], [output], {
    confinement: createConfinement([root]),
    observer: { read: nothing, spent: nothing, lookUp: nothing },
    openRemote: () => {
      throw new TypeError("Nothing is read");
    },
  });
}
