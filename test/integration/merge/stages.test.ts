import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { JobEvent } from "../../../coordinator/job.js";
import { withTempDir } from "../../support/checkpoints.js";
import { mergeLocally, writeFamily, writeRecipe } from "../../support/merges.js";

test("documents that others cannot contain are merged first, and leave nothing behind", async () => {
  await using folder = await withTempDir();
  await writeFamily(folder.path);
  const recipe = await writeRecipe(folder.path, "stored_documents");
  const before = await readdir(folder.path);
  const events: JobEvent[] = [];
  const { plan } = await mergeLocally(recipe, join(folder.path, "out"), { onEvent: (event) => events.push(event) });
  const stored = events.flatMap((event) => (event.type === "stage" ? [event.name] : []));
  expect(stored).toEqual(["first", "second"]);
  expect(plan.models.map(({ name }) => name)).toEqual(["second", "code"]);
  expect((await readdir(folder.path)).sort()).toEqual([...before, "out"].sort());
});

test("a document that was merged before an interruption is not merged again", async () => {
  await using folder = await withTempDir();
  await writeFamily(folder.path);
  const recipe = await writeRecipe(folder.path, "stored_documents");
  const controller = new AbortController();
  const interrupted = mergeLocally(recipe, join(folder.path, "out"), {
    signal: controller.signal,
    onEvent: (event) => {
      if (event.type === "stage" && event.name === "second") controller.abort();
    },
  });
  await expect(interrupted).rejects.toThrow();
  const units: string[] = [];
  await mergeLocally(recipe, join(folder.path, "out"), {
    onEvent: (event) => {
      if (event.type === "stage") units.push(event.name);
      if (event.type === "writing") units.push(`${event.units > 0}`);
    },
  });
  // The first document is complete: nothing is written until the second.
  expect(units).toEqual(["first", "second", "true", "true"]);
});
