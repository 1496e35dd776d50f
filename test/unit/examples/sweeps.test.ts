import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startPoint } from "../../../coordinator/sweep/space.js";
import { readSweep } from "../../../coordinator/sweep/spec/read.js";
import { repositoryPath } from "../../support/repository.js";

// Each sweep file of the examples is read as `amalgam sweep` reads it: with its recipe, the models' headers and the tasks.

const digits = repositoryPath("examples", "digits", "sweeps");

test.each(readdirSync(digits))("nothing is wrong with %s", async (file) => {
  const spec = await readSweep(join(digits, file));
  expect(spec.space.length).toBeGreaterThan(0);
  // What was found is to be believed, and compared with a merge that needs no search.
  expect(spec.tasks.holdOut).toBeGreaterThan(0);
  expect(spec.template.render(startPoint(spec.space))).toContain("merge_method");
});

test.each(readdirSync(digits))("%s says how it is run", async (file) => {
  const { text } = await readSweep(join(digits, file));
  expect(text).toContain(`#   amalgam sweep ${file}\n`);
});
