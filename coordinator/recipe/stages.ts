import { quote, quoteList } from "../../shared/quote.js";
import type { Complaints } from "./complaints.js";
import { mapModels, modelsOf } from "./models.js";
import type { Recipe } from "./recipe.js";

/** For each recipe of the file, those whose output it refers to; all as places in the file. */
type Needs = readonly ReadonlySet<number>[];

/**
 * The recipes of one file, each after those whose output it refers to by name, else in the order of the file. The last
 * is the output: the one without a name, else the one that no other refers to. Throws `recipe_invalid` for names and
 * references that leave no such order.
 */
export function orderStages(recipes: readonly Recipe[], complaints: Complaints): readonly Recipe[] {
  // A name is for other recipes; the only one of a file may name a model like itself.
  if (recipes.length === 1) return recipes;
  const byName = indexNames(recipes, complaints);
  complaints.throwIfAny();
  const needs = recipes.map((recipe) => findNeeds(recipe, byName, complaints));
  const output = findOutput(recipes, needs, complaints);
  complaints.throwIfAny();
  const order = sort(recipes, needs, output, complaints);
  const stageOf = new Map(order.map((index, stage) => [recipes[index]?.name?.value, stage]));
  const ordered = order.map((index) => recipes[index]).filter((recipe) => recipe !== undefined);
  return ordered.map((recipe) => linkStages(recipe, stageOf));
}

function indexNames(recipes: readonly Recipe[], complaints: Complaints): ReadonlyMap<string, number> {
  const byName = new Map<string, number>();
  for (const [index, { name }] of recipes.entries()) {
    if (name === undefined) continue;
    const first = recipes[byName.get(name.value) ?? -1]?.name;
    if (first === undefined) byName.set(name.value, index);
    else complaints.add(name.at, `Another recipe has the name ${quote(name.value)}, on line ${first.at.line}`);
  }
  for (const { method } of recipes.filter(({ name }) => name === undefined).slice(1)) {
    complaints.add(method.at, 'Another recipe has no "name" either, and only the output can do without');
  }
  return byName;
}

function findNeeds(recipe: Recipe, byName: ReadonlyMap<string, number>, complaints: Complaints): ReadonlySet<number> {
  const needed = new Set<number>();
  for (const { value, at } of modelsOf(recipe)) {
    const index = byName.get(value.path);
    if (index === undefined) continue;
    needed.add(index);
    if (value.revision !== undefined) {
      complaints.add(at, `Model ${quote(value.text)} is the output of another recipe, which has no revisions`);
    }
  }
  return needed;
}

/** Undefined where every recipe is referred to, which takes a circle. */
function findOutput(recipes: readonly Recipe[], needs: Needs, complaints: Complaints): number | undefined {
  const unnamed = recipes.findIndex(({ name }) => name === undefined);
  if (unnamed >= 0) return unnamed;
  const needed = new Set(needs.flatMap((indices) => [...indices]));
  const candidates = [...recipes.keys()].filter((index) => !needed.has(index));
  const names = candidates.map((index) => recipes[index]?.name).filter((name) => name !== undefined);
  const second = names[1];
  if (second !== undefined) {
    const all = quoteList(names.map(({ value }) => value));
    const remedy = 'leave out the "name" of the one that is';
    complaints.add(second.at, `No recipe refers to any of ${all}, so each could be the output: ${remedy}`);
  }
  return candidates[0];
}

/** Depth first, on a stack of our own: a chain of recipes may be longer than the call stack. */
function sort(
  recipes: readonly Recipe[],
  needs: Needs,
  output: number | undefined,
  complaints: Complaints,
): readonly number[] {
  const order = new Set<number>();
  /** From a recipe that nothing waits for, each the one that the one before it waits for. */
  const waiting = new Set<number>();
  const pending = [...recipes.keys()].filter((index) => index !== output).reverse();
  if (output !== undefined) pending.unshift(output);
  for (let index = pending.at(-1); index !== undefined; index = pending.at(-1)) {
    const missing = order.has(index) ? [] : [...(needs[index] ?? [])].filter((need) => !order.has(need));
    if (missing.length === 0) {
      order.add(index);
      waiting.delete(index);
      pending.pop();
    } else {
      if (waiting.has(index)) return complainOfCircle([...waiting], index, recipes, complaints);
      waiting.add(index);
      pending.push(...missing.reverse());
    }
  }
  return [...order];
}

function complainOfCircle(
  waiting: readonly number[],
  start: number,
  recipes: readonly Recipe[],
  complaints: Complaints,
): never {
  const circle = waiting.slice(waiting.indexOf(start)).map((index) => recipes[index]?.name);
  const names = quoteList(circle.map((name) => name?.value ?? ""));
  return complaints.fail(
    circle[0]?.at ?? { line: 1, column: 1 },
    circle.length === 1
      ? `Recipe ${names} needs its own output`
      : `Recipes ${names} need each other's output in a circle`,
  );
}

function linkStages(recipe: Recipe, stageOf: ReadonlyMap<string | undefined, number>): Recipe {
  return mapModels(recipe, ({ value, at }) => {
    const stage = stageOf.get(value.path);
    return { value: stage === undefined ? value : { ...value, stage }, at };
  });
}
