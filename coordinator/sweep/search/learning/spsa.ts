import { toUnit } from "../../space.js";
import type { SearchKind } from "../searching.js";
import { notContinuous } from "./box.js";
import { learnBySpsa, spsaOptions } from "./learn.js";
import { scoredDescent } from "./scored-descent.js";

/** For many parameters and noisy objectives; `epsilon` and `step` are shares of the ranges. */
export const spsa: SearchKind = {
  name: "spsa",
  summary: "Slopes along random directions: 2 trials for each, however many parameters (Spall 1992)",
  options: spsaOptions,
  refuses: ({ space }) => notContinuous(space),
  *search(context, options) {
    const start = Float64Array.from(toUnit(context.space, {}));
    const { course } = yield* learnBySpsa(scoredDescent(context), start, options, context.random("spsa"));
    return { facts: { course } };
  },
};
