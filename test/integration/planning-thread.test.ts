import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { planHere } from "../../coordinator/plan/planner.js";
import { planInThread } from "../../coordinator/plan/planning-thread.js";
import { MustBeStored } from "../../coordinator/plan/stored-stages.js";
import type { Plan } from "../../coordinator/plan/types.js";
import { parseRecipes } from "../../coordinator/recipe/parse.js";
import { readRecipe } from "../../coordinator/recipe/read.js";
import { AmalgamError } from "../../shared/errors.js";
import { type TestTensor, withTempDir, writeCheckpoint } from "../support/checkpoints.js";
import { familyRecipes, writeFamily, writeRecipe } from "../support/merges.js";

// A plan made in a thread of its own is the plan.

const scratch = withTempDir();
const inThread = planInThread(new AbortController().signal);
beforeAll(async () => writeFamily((await scratch).path));
afterAll(async () => (await scratch)[Symbol.asyncDispose]());

const options = { shardBytes: 300_000 };

test.each(["linear", "union", "lora", "documents"])("%s: the same plan", async (name) => {
  const recipe = await readRecipe(await writeRecipe((await scratch).path, name));
  const [here, there] = [await planHere(recipe, options), await inThread(recipe, options)];
  expect(there.digest).toBe(here.digest);
  expect(withBytes(there)).toEqual(withBytes(here));
});

const plannable = Object.keys(familyRecipes).filter((name) => name !== "stored_documents");

// A thread takes longer to start than all of these to plan.
test.each(plannable)("%s: the plan stays what it is on the way between threads", async (name) => {
  const recipe = await readRecipe(await writeRecipe((await scratch).path, name));
  const plan = await planHere(recipe, options);
  expect(withBytes(structuredClone(plan))).toEqual(withBytes(plan));
});

/** What is a Buffer on one side is its bytes on the other. */
function withBytes({ companions, ...plan }: Plan): unknown {
  const files = [...companions.files].map(([file, bytes]) => [file, Buffer.from(bytes).toString("base64")]);
  return { ...plan, companions: { ...companions, files } };
}

test("a plan of many tensors is handed over in slices, between which this thread does other things", async () => {
  const { path } = await scratch;
  const names = Array.from({ length: 4_500 }, (_, i) => `model.layers.${i % 9}.mlp.experts.${i}.weight`);
  const tensor: TestTensor = { dtype: "BF16", shape: [1], bytes: Uint8Array.of(0, 0) };
  const tensors = new Map(names.map((name) => [name, tensor]));
  await writeCheckpoint(join(path, "many"), tensors, { config: { model_type: "deepseek_v3" } });
  const text = "merge_method: passthrough\nmodels: [{ model: many }]\n";
  const recipe = parseRecipes(text, join(path, "many.yaml"));
  const asked = vi.spyOn(Worker.prototype, "postMessage");
  const [here, there] = [await planHere(recipe, {}), await inThread(recipe, {})];
  expect(asked.mock.calls).toEqual([[{ begin: 0 }], [{ begin: 2_000 }], [{ begin: 4_000 }]]);
  asked.mockRestore();
  expect(there.tensors.map(({ name }) => name)).toEqual(names);
  expect(withBytes(there)).toEqual(withBytes(here));
  // The text that is hashed is some times as long as what is hashed at once.
  expect(here.digest).toBe("080d885aed94320ac07046a50d9a85955242de5c4e2e6be164ee85cbc32315e6");
});

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
