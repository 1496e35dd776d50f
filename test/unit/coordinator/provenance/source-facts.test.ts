import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeSmall } from "../../../../coordinator/provenance/source-facts.js";
import { withTempDir } from "../../../support/checkpoints.js";

test("describeSmall() reads no file that a manifest names and that decides nothing", async () => {
  await using dir = await withTempDir();
  for (const name of ["config.json", "model.safetensors"]) await writeFile(join(dir.path, name), "{}");
  const names = ["config.json", "model.safetensors", "config.json", "tokenizer.json"];
  const found = await describeSmall({ directory: dir.path, adapterDirectory: undefined }, names);
  expect(found).toMatchObject([{ name: "config.json", bytes: 2 }]);
});
