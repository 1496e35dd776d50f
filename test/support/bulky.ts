import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { narrow } from "../../shared/checkpoint/convert.js";
import { blockElements } from "../../shared/expression/statistics.js";
import { type TestTensor, writeCheckpoint } from "./checkpoints.js";
import { normals, seeded } from "./random.js";

/** The smallest unit that bf16 tensors can be cut into. */
export const blockBytes = blockElements * 2;

const tensors = 8;
const blocksPerTensor = 16;

/** Units of one block each that the bulky models are cut into. */
export const bulkyUnits = tensors * blocksPerTensor;

const recipes = {
  linear: ["merge_method: linear", "models:", ...["a", "b", "c"].map((name) => entry(name, "weight: 0.5"))],
  "ties over the whole model": [
    "merge_method: ties",
    "base_model: base",
    "models:",
    ...["a", "b", "c"].map((name) => entry(name, "weight: 0.5, density: 0.4")),
    "parameters: { scope: model }",
  ],
};
export type BulkyRecipe = keyof typeof recipes;

/**
 * A base and three models of 17 MB and recipes for them: enough small units that a signal lands in the middle of a
 * merge. Made from one stretch of numbers whose length shares no factor with a block's, so that no two units are alike
 * and a misplaced one shows.
 */
export async function writeBulky(folder: string): Promise<Record<BulkyRecipe, string>> {
  for (const [model, name] of ["base", "a", "b", "c"].entries()) {
    const stretch = Buffer.from(narrow("BF16", normals(99_991, seeded(model), 0.05)).buffer);
    const file = new Map<string, TestTensor>();
    let at = 0;
    for (let layer = 0; layer < tensors; layer += 1) {
      const bytes = Buffer.alloc(blocksPerTensor * blockBytes);
      for (let filled = 0; filled < bytes.length; ) {
        const copied = stretch.copy(bytes, filled, at);
        filled += copied;
        at = (at + copied) % stretch.length;
      }
      file.set(`model.layers.${layer}.weight`, { dtype: "BF16", shape: [bytes.length / 1024, 512], bytes });
    }
    await writeCheckpoint(join(folder, name), file, { config: { model_type: "test" } });
  }
  const files = { linear: join(folder, "linear.yaml"), "ties over the whole model": join(folder, "ties.yaml") };
  for (const name of Object.keys(recipes) as BulkyRecipe[]) await writeFile(files[name], recipes[name].join("\n"));
  return files;
}

function entry(model: string, parameters: string): string {
  return `  - { model: ${model}, parameters: { ${parameters} } }`;
}
