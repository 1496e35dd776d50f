import { setImmediate } from "node:timers/promises";
import type { RecipeFile } from "../recipe/recipe.js";
import { openModels } from "./open-models.js";
import { type PlanOptions, planMerge } from "./plan.js";
import type { Plan } from "./types.js";

/** Makes a plan of a recipe: reads the headers of its models, then `planMerge()`. Fails with what either fails with. */
export type Planner = (file: RecipeFile, options: PlanOptions) => Promise<Plan>;

/** Here and now. Seconds of computing for models of a hundred thousand tensors, in which nothing else runs. */
export const planHere: Planner = async (file, options) => {
  const models = await openModels(file);
  // What opening took is free only once the event loop has turned: 100 MB and more beside what planning takes.
  await setImmediate();
  return planMerge(file, models, options);
};
