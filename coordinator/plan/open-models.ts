import { stat } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { type Checkpoint, openCheckpoint } from "../../shared/checkpoint/open.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { Complaints } from "../recipe/complaints.js";
import type { Located, Recipe } from "../recipe/recipe.js";

/** A model of the recipe with its headers read. No tensor data has been touched. */
export interface OpenModel {
  /** As the recipe names it. */
  readonly name: Located<string>;
  readonly checkpoint: Checkpoint;
  /** When each of the checkpoint's files was last modified, in milliseconds since 1970. */
  readonly modifiedMs: readonly number[];
  readonly isBase: boolean;
}

/**
 * Opens every model that the recipe names, in its order, the base last if it is not among them. Paths are relative to
 * the recipe's folder, then to the current one. All models that cannot be found are complained of at once.
 */
export async function openModels(recipe: Recipe): Promise<readonly OpenModel[]> {
  const complaints = new Complaints(recipe.file);
  const names = recipe.models.map(({ model }) => model);
  const seen = new Set<string>();
  for (const { value, at } of names) {
    if (seen.has(value))
      complaints.add(at, `Model ${quote(value)} is listed twice: give it once, with the sum of its weights`);
    seen.add(value);
  }
  if (recipe.base !== undefined && !seen.has(recipe.base.value)) names.push(recipe.base);

  const folders = await Promise.all(names.map((name) => findFolder(name, recipe, complaints)));
  complaints.throwIfAny();
  return Promise.all(
    names.map(async (name, i) => {
      const checkpoint = await openCheckpoint(folders[i] ?? name.value);
      const modifiedMs = await Promise.all(checkpoint.files.map(async ({ path }) => (await stat(path)).mtimeMs));
      return { name, checkpoint, modifiedMs, isBase: name.value === recipe.base?.value };
    }),
  );
}

async function findFolder(name: Located<string>, recipe: Recipe, complaints: Complaints): Promise<string | undefined> {
  const candidates = isAbsolute(name.value)
    ? [name.value]
    : [...new Set([join(dirname(resolve(recipe.file)), name.value), resolve(name.value)])];
  for (const candidate of candidates) {
    try {
      await stat(candidate);
      return candidate;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOENT" && code !== "ENOTDIR") throw AmalgamError.from(error);
    }
  }
  const looked = candidates.map(quote).join(" nor ");
  return complaints.add(name.at, `Cannot find model ${quote(name.value)}: there is no ${looked}`);
}
