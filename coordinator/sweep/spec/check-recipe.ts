import { methods } from "../../../shared/methods/index.js";
import { methodOf } from "../../plan/check-method.js";
import type { OpenModel } from "../../plan/open-models.js";
import { planMerge } from "../../plan/plan.js";
import { bindParameters } from "../../recipe/bind.js";
import { Complaints } from "../../recipe/complaints.js";
import { readDocument } from "../../recipe/document.js";
import type { Recipe } from "../../recipe/recipe.js";
import type { YamlNode } from "../../recipe/yaml/node.js";
import { type Dimension, type Point, type Space, startPoint } from "../space.js";
import { adopt } from "./adopt.js";
import { type Slot, treeAt } from "./slots.js";

const root = { line: 1, column: 1 };

const everyParameter = new Set(
  [...methods.values()].flatMap(({ perModel, merge, inert }) => Object.keys({ ...perModel, ...merge, ...inert })),
);

/**
 * The recipe at its start, and at points that together have both ends of every range and every choice: what is wrong
 * with any of these values is told before anything is run. Some may be missing where there were complaints.
 */
export function checkRecipes(
  tree: YamlNode,
  space: Space,
  slots: readonly Slot[],
  file: string,
  complaints: Complaints,
): readonly Recipe[] {
  return [startPoint(space), ...extremePoints(space)].flatMap((point) => {
    const recipe = recipeAt(tree, slots, point, file, complaints);
    if (recipe === undefined) return [];
    adopt(() => bindParameters(recipe, methodOf(recipe), everyParameter), file, root, complaints);
    return [recipe];
  });
}

/** One recipe of the sweep, with its complaints at the places of the sweep's file. */
export function recipeAt(
  tree: YamlNode,
  slots: readonly Slot[],
  point: Point,
  file: string,
  complaints: Complaints,
): Recipe | undefined {
  return adopt(
    () => {
      const own = new Complaints(file);
      const recipe = readDocument(treeAt(tree, slots, point), { file, text: "" }, own);
      own.throwIfAny();
      return recipe;
    },
    file,
    root,
    complaints,
  );
}

/** Whether the recipe's models fit each other, as `amalgam plan` would say. */
export function checkPlan(recipe: Recipe, models: readonly OpenModel[], complaints: Complaints): void {
  const { file } = recipe;
  adopt(() => planMerge({ file, text: "", stages: [recipe] }, models), file, recipe.method.at, complaints);
}

/** As many points as the longest list of choices, two at least. */
function extremePoints(space: Space): readonly Point[] {
  const count = Math.max(0, ...new Set(space.map((dimension) => extremesOf(dimension).length)));
  return Array.from({ length: count }, (_, turn) =>
    Object.fromEntries(
      space.map((dimension) => {
        const values = extremesOf(dimension);
        return [dimension.name, values[turn % values.length] ?? 0];
      }),
    ),
  );
}

function extremesOf(dimension: Dimension) {
  return dimension.kind === "choice" ? dimension.values : [dimension.low, dimension.high];
}
