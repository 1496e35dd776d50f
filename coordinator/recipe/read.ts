import { open } from "node:fs/promises";
import { readingProblem } from "../../shared/checkpoint/regular-file.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { parseRecipes } from "./parse.js";
import type { RecipeFile } from "./recipe.js";
import { maxRecipeBytes } from "./yaml/limits.js";

/** Reads and parses a recipe file. No more of it is read than a recipe may have. */
export async function readRecipe(file: string): Promise<RecipeFile> {
  return parseRecipes(await readText(file, "recipe"), file);
}

/** The text of a file in YAML, one byte more of it at most than a recipe may have. `what` says in errors what it is. */
export async function readText(file: string, what: string): Promise<string> {
  try {
    await using handle = await open(file, "r");
    const buffer = Buffer.alloc(maxRecipeBytes + 1);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } catch (error) {
    throw new AmalgamError("usage", `Cannot read ${what} ${quote(file)}: ${readingProblem(error)}`, {
      cause: error,
      details: { file },
    });
  }
}
