import { writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { expect, test } from "vitest";
import { mirrorDirectory } from "../../../../coordinator/sources/mirror-for-job.js";
import { readPins, writePins } from "../../../../coordinator/sources/pins.js";
import { withTempDir } from "../../../support/checkpoints.js";

test("pins are what was written, or none", async () => {
  await using folder = await withTempDir();
  const directory = join(folder.path, "mirrors");
  expect(await readPins(directory)).toEqual(new Map());
  const pins = [
    { url: "hf://a/b", found: "hf://a/b@0", license: "mit", files: [] },
    { url: "https://host/a", found: "https://host/a", files: [{ name: "config.json", bytes: 3, modifiedMs: 5 }] },
  ];
  await writePins(directory, pins);
  expect([...(await readPins(directory)).values()]).toEqual(pins);
});

test.each(["", "{", "[]", '{"format":"amalgam-pins","version":2,"models":[]}'])(
  "what Amalgam did not write is refused: %j",
  async (text) => {
    await using folder = await withTempDir();
    await writeFile(join(folder.path, "pins.json"), text);
    await expect(readPins(folder.path)).rejects.toMatchObject({ code: "output_refused" });
  },
);

test("they are found again however the recipe's path is written", () => {
  const recipe = { file: join(process.cwd(), "recipes", "a.yaml"), text: "models: []" };
  const written = { ...recipe, file: relative(process.cwd(), recipe.file) };
  expect(mirrorDirectory(written, "/out")).toBe(mirrorDirectory(recipe, "/out"));
  expect(mirrorDirectory({ ...recipe, text: "" }, "/out")).not.toBe(mirrorDirectory(recipe, "/out"));
});
