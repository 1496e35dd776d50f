import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { planHere } from "../../coordinator/plan/planner.js";
import { planInThread } from "../../coordinator/plan/planning-thread.js";
import { MustBeStored } from "../../coordinator/plan/stored-stages.js";
import type { Plan } from "../../coordinator/plan/types.js";
import { parseRecipes } from "../../coordinator/recipe/parse.js";
import { readRecipe } from "../../coordinator/recipe/read.js";
import { AmalgamError } from "../../shared/errors.js";
import { withTempDir } from "../support/checkpoints.js";
import { familyRecipes, writeFamily, writeRecipe } from "../support/merges.js";

// A plan made in a thread of its own is the plan.

const scratch = withTempDir();
const inThread = planInThread(new AbortController().signal);
beforeAll(async () => writeFamily((await scratch).path));
afterAll(async () => (await scratch)[Symbol.asyncDispose]());

const plannable = Object.keys(familyRecipes).filter((name) => name !== "stored_documents");

test.each(plannable)("%s: the same plan", async (name) => {
  const recipe = await readRecipe(await writeRecipe((await scratch).path, name));
  const options = { shardBytes: 300_000 };
  const [here, there] = [await planHere(recipe, options), await inThread(recipe, options)];
  expect(there.digest).toBe(here.digest);
  expect(withBytes(there)).toEqual(withBytes(here));
});

/** What is a Buffer on one side is its bytes on the other. */
function withBytes({ companions, ...plan }: Plan): unknown {
  const files = [...companions.files].map(([file, bytes]) => [file, Buffer.from(bytes).toString("base64")]);
  return { ...plan, companions: { ...companions, files } };
}

test("a document that must be stored first is said as such", async () => {
  const recipe = await readRecipe(await writeRecipe((await scratch).path, "stored_documents"));
  const [here, there] = await Promise.all(
    [planHere, inThread].map((plan) => plan(recipe, {}).catch((reason: unknown) => reason as MustBeStored)),
  );
  expect(there).toBeInstanceOf(MustBeStored);
  expect(there).toEqual(here);
});

test("complaints keep their places", async () => {
  const { path } = await scratch;
  const file = join(path, "bad.yaml");
  await writeFile(file, "merge_method: linear\nmodels:\n  - { model: nowhere, parameters: { weight: 1 } }\n");
  const recipe = await readRecipe(file);
  const [here, there] = await Promise.all(
    [planHere, inThread].map((plan) => plan(recipe, {}).catch((reason: unknown) => AmalgamError.from(reason))),
  );
  expect(there).toMatchObject({ code: "recipe_invalid", message: expect.stringContaining(`${file}:3:`) });
  expect(there).toEqual(here);
});

test("an abort ends it", async () => {
  const stop = new AbortController();
  const recipe = parseRecipes(
    "merge_method: passthrough\nmodels: [{ model: base }]\n",
    join((await scratch).path, "r"),
  );
  const planning = planInThread(stop.signal)(recipe, {});
  stop.abort(new AmalgamError("fenced", "Somebody else leads"));
  await expect(planning).rejects.toMatchObject({ code: "fenced" });
});
