import { toUnit } from "../../space.js";
import type { SearchKind } from "../searching.js";
import { notContinuous } from "./box.js";
import { adamOptions, learnByAdam } from "./learn.js";
import { scoredDescent } from "./scored-descent.js";

/** Central differences and Adam, for any objective that changes smoothly; `epsilon` and `rate` are shares of the ranges. */
export const gradient: SearchKind = {
  name: "gradient",
  summary: "Slopes by central differences, steps by Adam: 1 + 2 p trials a round (Kingma & Ba 2015)",
  options: adamOptions,
  refuses: ({ space }) => notContinuous(space),
  *search(context, options) {
    const start = Float64Array.from(toUnit(context.space, {}));
    const { course } = yield* learnByAdam(scoredDescent(context), start, options);
    return { facts: { course } };
  },
};
