import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readManifest } from "../coordinator/assemble/manifest.js";
import { runMerge } from "../coordinator/job.js";
import { openModels } from "../coordinator/plan/open-models.js";
import { planMerge } from "../coordinator/plan/plan.js";
import { cutUnits } from "../coordinator/plan/units.js";
import { parseRecipes } from "../coordinator/recipe/parse.js";
import { openCheckpoint } from "../shared/checkpoint/open.js";
import { readTensor, type TestTensor, withTempDir, writeCheckpoint } from "./support/checkpoints.js";

// A tour from a recipe's text to a merged checkpoint, one arrow of the data flow after the other:
//
//   recipe.yaml ─parse─▶ Recipe ─plan─▶ Plan ─cut─▶ Unit ─dispatch─▶ receipts ─assemble─▶ checkpoint/

/** What `amalgam` starts agents from. */
const agentEntry = new URL("../node-agent/main.js", import.meta.url);

const recipeText = `\
merge_method: task_arithmetic
base_model: base
models:
  - model: math
    parameters: { weight: 1.0 }
  - model: code
    parameters:
      weight:
        - { filter: up_proj, value: 0.5 }
        - { value: 0.25 }
`;

const matrix = (...values: readonly number[]): TestTensor => ({ dtype: "F32", shape: [2, 3], values });
const vector = (...values: readonly number[]): TestTensor => ({ dtype: "F32", shape: [2], values });

test("a recipe and three checkpoints become a merged one", async () => {
  await using folder = await withTempDir();
  const at = (name: string): string => join(folder.path, name);

  // A base model and two fine-tuned ones, in the layout of the Hugging Face Hub. Real ones differ only in size.
  const names = { up: "model.layers.0.mlp.up_proj.weight", norm: "model.norm.weight" };
  const config = { model_type: "llama", torch_dtype: "float32" };
  const write = (name: string, up: TestTensor, norm: TestTensor) =>
    writeCheckpoint(at(name), { [names.up]: up, [names.norm]: norm }, { config });
  await write("base", matrix(1, 2, 3, 4, 5, 6), vector(1, 1));
  await write("math", matrix(2, 2, 3, 4, 5, 8), vector(1, 3));
  await write("code", matrix(1, 2, 3, 0, 5, 2), vector(5, 1));

  // parse: what the author meant. Nothing has looked for the models yet; every complaint would have a line and a column.
  await writeFile(at("recipe.yaml"), recipeText);
  const recipes = parseRecipes(recipeText, at("recipe.yaml"));
  const [recipe] = recipes.stages;
  expect(recipe?.method).toEqual({ value: "task_arithmetic", at: { line: 1, column: 15 } });
  expect(recipe?.modules[0]?.slices[0]?.sources.map(({ model }) => model.value.text)).toEqual(["math", "code"]);

  // open: the headers of every model, and not a byte of weights.
  const models = await openModels(recipes);
  expect(models.map(({ name }) => name)).toEqual(["math", "code", "base"]);

  // plan: every byte of the output, named. Each tensor has a place in a file, a program, and the program's numbers:
  // here two weights, of which a filter decides the second, and lambda, which has its default.
  const plan = planMerge(recipes, models);
  const [up, norm] = plan.tensors;
  expect(plan.files.map(({ name }) => name)).toEqual(["model.safetensors"]);
  expect([up?.name, up?.bytes, up?.offset]).toEqual([names.up, 24, plan.files[0]?.header.length]);
  expect(plan.programs[up?.program ?? 0]?.parameters).toEqual(['weight of "math"', 'weight of "code"', "lambda"]);
  expect(up?.parameters).toEqual([1, 0.5, 1]);
  expect(norm?.parameters).toEqual([1, 0.25, 1]);

  // cut: self-contained pieces of work for whoever is free. However they are cut, no bit of the output changes.
  const units = cutUnits(plan, { unitBytes: 16 });
  expect(units.map(({ pieces }) => pieces)).toEqual([
    [{ tensor: 0, begin: 0, end: 6 }],
    [{ tensor: 1, begin: 0, end: 2 }],
  ]);

  // dispatch and assemble: the same from the recipe's file to the finished folder, on two agents behind gRPC. They write
  // their pieces into staged files and answer with receipts; one rename at the end makes the output appear.
  const finished: number[] = [];
  const result = await runMerge({
    recipeFile: at("recipe.yaml"),
    output: at("merged"),
    agents: { kind: "local", count: 2, mode: "thread", entry: agentEntry, slotsEach: 1, memoryBytesEach: 64 << 20 },
    assembly: "direct",
    unitBytes: 16,
    shardBytes: 5e9,
    overwrite: false,
    onEvent: (event) => {
      if (event.type === "dispatch" && event.event.type === "finished") finished.push(event.event.unit.id);
    },
  });
  expect(result.plan.digest).toBe(plan.digest);
  expect(finished.sort()).toEqual([0, 1]);

  // What came out is a checkpoint like those that went in, and its numbers can be worked out by hand:
  // base + 1 · (math − base) + 0.5 · (code − base), and 0.25 outside the up projections.
  const merged = await openCheckpoint(at("merged"));
  expect([...readTensor(merged, names.up)]).toEqual([2, 2, 3, 2, 5, 6]);
  expect([...readTensor(merged, names.norm)]).toEqual([2, 3]);
  expect(merged.config).toEqual(config);

  // And it says where it came from.
  const manifest = await readManifest(at("merged"));
  expect(manifest.planDigest).toBe(plan.digest);
  expect(manifest.recipe.text).toBe(recipeText);
  expect(manifest.numbers).toEqual({ nonFinite: 0, overflowed: 0, tensors: [] });
});
