import { fromUnit } from "../../space.js";
import type { SearchContext } from "../searching.js";
import { unitBox } from "./box.js";
import type { Descent } from "./descent.js";
import { none } from "./regulariser.js";

/**
 * Any objective, a metric too, over the unit cube, in which every range has the length 1. What violates constraints costs
 * as much as it violates them by.
 */
export function scoredDescent({ space, note }: SearchContext): Descent {
  return {
    box: unitBox(space.length),
    names: space.map(({ name }) => name),
    request: (x, label) => ({ point: fromUnit(space, Array.from(x)), label }),
    loss: (outcome) => (outcome.failure === undefined ? outcome.loss + outcome.violation : Number.NaN),
    regulariser: none,
    note,
  };
}
