import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Plan } from "../../coordinator/plan/types.js";
import { randomTensor, writeCheckpoint } from "./checkpoints.js";
import { planRecipe } from "./run-plan.js";

/** Two models of 8 MB in `folder` and their mean: enough to be read in many steps. */
export async function planLarge(folder: string): Promise<Plan> {
  for (const [i, name] of ["a", "b"].entries()) {
    await writeCheckpoint(join(folder, name), {
      first: randomTensor(3 * i, [1_500, 1_000], "BF16"),
      second: randomTensor(3 * i + 1, [900, 1_000]),
      third: randomTensor(3 * i + 2, [700, 1_000], "F16"),
    });
  }
  const file = join(folder, "large.yaml");
  await writeFile(file, "merge_method: linear\nparameters: { weight: 1 }\nmodels: [{ model: a }, { model: b }]\n");
  return planRecipe(file);
}
