import { cp } from "node:fs/promises";
import { withWorkplace } from "./command.js";
import { smallRecipes, writeSmallModels } from "./small-models.js";

/**
 * A merge of the small models, `out`, with the recipe and the models beside it. Made once, with these options; each test
 * gets a copy.
 */
export async function mergeOnce(...options: readonly string[]) {
  const made = await withWorkplace();
  await writeSmallModels(made.path);
  await made.write("linear.yaml", smallRecipes.linear);
  const { code, stderr } = await made.run("merge", made.at("linear.yaml"), made.at("out"), "--slots", "1", ...options);
  if (code !== 0) throw new Error(stderr);
  return {
    copy: async () => {
      const work = await withWorkplace();
      await cp(made.path, work.path, { recursive: true, preserveTimestamps: true });
      return work;
    },
    [Symbol.asyncDispose]: () => made[Symbol.asyncDispose](),
  };
}
