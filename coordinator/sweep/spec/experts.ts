import { quote, quoteList } from "../../../shared/quote.js";
import type { Complaints } from "../../recipe/complaints.js";
import { modelsOf } from "../../recipe/models.js";
import type { Recipe } from "../../recipe/recipe.js";
import { didYouMean } from "../../recipe/wording.js";
import { shortName } from "./places.js";
import type { ReadTasks } from "./tasks.js";

/**
 * By task, the model of the recipe that is its expert: as the sweep says; else as the task file does, by the last part of
 * the model's path; else the model that is called like the task.
 */
export function matchExperts(
  { tasks, experts }: ReadTasks,
  recipes: readonly Recipe[],
  complaints: Complaints,
): ReadonlyMap<string, string> {
  const models = new Map<string, string>();
  for (const { value } of recipes.flatMap(modelsOf)) models.set(value.text, shortName(value));
  const byShortName = (name: string | undefined): string | undefined => {
    return [...models].find(([, short]) => short === name)?.[0];
  };
  const matched = new Map<string, string>();
  for (const { name, expert } of tasks) {
    const written = experts.get(name)?.model;
    const found =
      written === undefined
        ? (byShortName(expert) ?? byShortName(name))
        : models.has(written.value)
          ? written.value
          : byShortName(written.value);
    if (found !== undefined) matched.set(name, found);
    else if (written !== undefined && models.size > 0) {
      const hint = didYouMean(written.value, models.keys()) || `; it has ${quoteList([...models.keys()])}`;
      complaints.add(written.at, `The recipe has no model ${quote(written.value)}${hint}`);
    }
  }
  return matched;
}
