import { join } from "node:path";
import { randomTensor, type TestTensors, writeCheckpoint } from "./checkpoints.js";
import { recipeFor } from "./planning.js";

const config = { model_type: "test", torch_dtype: "bfloat16" };

/** Three models of two tensors and some hundred bytes: "base", "math" and "code". */
export async function writeSmallModels(folder: string): Promise<void> {
  for (const [seed, name] of ["base", "math", "code"].entries()) {
    await writeCheckpoint(join(folder, name), smallTensors(seed), { config });
  }
}

export function smallTensors(seed: number): TestTensors {
  return { "layers.0.up": randomTensor(2 * seed, [8, 4], "BF16"), norm: randomTensor(2 * seed + 1, [4], "BF16") };
}

/** Recipes for the small models, none of which warns of anything. */
export const smallRecipes = {
  linear: recipeFor("linear", ["math", "code"], { each: "weight: 1" }),
  ties: recipeFor("ties", ["math", "code"], { each: "weight: 1, density: 0.5", base: "base" }),
};
