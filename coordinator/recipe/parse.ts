import { allOrNone, Complaints } from "./complaints.js";
import { readDocument } from "./document.js";
import type { Recipe, RecipeFile } from "./recipe.js";
import { orderStages } from "./stages.js";
import { isNull, type YamlNode } from "./yaml/node.js";
import { readYaml } from "./yaml/read.js";

/**
 * Reads a file in mergekit's language: one recipe, or several that build on each other, as documents after `---`.
 * Throws one error, `recipe_invalid`, with a line for every complaint and its place: `recipe.yaml:7:14  Unknown key
 * "merge_metod", did you mean "merge_method"?`. Nothing is dropped silently: a key that nobody knows is a complaint.
 */
export function parseRecipes(text: string, file: string): RecipeFile {
  const complaints = new Complaints(file);
  const recipes = allOrNone(
    readDocuments(text, complaints).map((document) => readDocument(document, { file, text }, complaints)),
  );
  complaints.throwIfAny();
  return { file, text, stages: orderStages(recipes ?? [], complaints) };
}

/** The recipe of a file that has only one. */
export function parseRecipe(text: string, file: string): Recipe {
  const complaints = new Complaints(file);
  const [document, second] = readDocuments(text, complaints);
  if (second !== undefined) complaints.add(second.at, "There are several recipes in the file, expected one");
  const recipe = document && readDocument(document, { file, text }, complaints);
  if (complaints.any || recipe === undefined) throw complaints.error();
  return recipe;
}

/** At least one. Nothing after a `---` is no document. */
function readDocuments(text: string, complaints: Complaints): readonly YamlNode[] {
  const documents = readYaml(text, complaints).filter((document) => !isNull(document));
  return documents.length > 0 ? documents : complaints.fail({ line: 1, column: 1 }, "The recipe is empty");
}
