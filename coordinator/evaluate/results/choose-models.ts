import { stat } from "node:fs/promises";
import { AmalgamError } from "../../../shared/errors.js";
import { quote, quoteList } from "../../../shared/quote.js";
import { didYouMean } from "../../recipe/wording.js";
import type { ModelResult } from "../types.js";
import { readResults } from "./read.js";

/**
 * The models that words of a command line name. A word is a folder of results with one model, or `folder:model`. A folder
 * alone, with two models or more, gives all of them.
 *
 * @throws AmalgamError `usage` where fewer than two models come of it, or a name is unknown or not enough
 */
export async function chooseModels(words: readonly string[]): Promise<readonly ModelResult[]> {
  const named = await Promise.all(words.map(readNamed));
  const [only] = named;
  if (named.length === 1 && only !== undefined) {
    if (only.models.length > 1) return only.models;
    throw new AmalgamError(
      "usage",
      `Nothing to compare with: ${quote(words[0] ?? "")} is one model; name another folder`,
    );
  }
  const chosen = named.map(({ models, directory }) => {
    const [model] = models;
    if (models.length === 1 && model !== undefined) return { model, directory };
    const what = models.length === 0 ? "has no model" : `has ${models.length} models, ${quoteList(namesOf(models))}`;
    throw new AmalgamError("usage", `Cannot compare ${quote(directory)}: it ${what}; name one as folder:model`);
  });
  // Two runs may give different models the same name; then the folders tell them apart.
  return chosen.map(({ model, directory }) => {
    const isAmbiguous = chosen.filter((other) => other.model.name === model.name).length > 1;
    return isAmbiguous ? { ...model, name: `${directory}:${model.name}` } : model;
  });
}

async function readNamed(word: string): Promise<{ directory: string; models: readonly ModelResult[] }> {
  const colon = word.lastIndexOf(":");
  // A folder may have a colon in its own name.
  if (colon < 1 || (await isDirectory(word))) return { directory: word, models: (await readResults(word)).models };
  const [directory, name] = [word.slice(0, colon), word.slice(colon + 1)];
  const { models } = await readResults(directory);
  const model = models.find((each) => each.name === name);
  if (model !== undefined) return { directory, models: [model] };
  const hint = didYouMean(name, namesOf(models)) || `; there is ${quoteList(namesOf(models))}`;
  throw new AmalgamError("usage", `Unknown model ${quote(name)} in ${quote(directory)}${hint}`);
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}

function namesOf(models: readonly ModelResult[]): readonly string[] {
  return models.map(({ name }) => name);
}
