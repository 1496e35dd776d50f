import type { FuzzTarget } from "./target.js";
import { header } from "./targets/header.js";
import { index } from "./targets/index-json.js";
import { recipe } from "./targets/recipe.js";
import { request } from "./targets/request.js";
import { response } from "./targets/response.js";

/** Everything that reads bytes from outside. */
export const targets: readonly FuzzTarget[] = [header, index, recipe, request, response];

export function targetNamed(name: string): FuzzTarget {
  const target = targets.find((one) => one.name === name);
  if (target === undefined) throw new RangeError(`There is no target "${name}"`);
  return target;
}
