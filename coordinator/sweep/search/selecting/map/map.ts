import { fromUnit } from "../../../space.js";
import { optionalNumber } from "../../options.js";
import type { SearchKind } from "../../searching.js";
import { confirmFront, measure } from "./confirm.js";
import { design, designSize } from "./design.js";
import { mapOptions, refusesQuadratic, settingsOf } from "./map-options.js";

export const map: SearchKind = {
  name: "map",
  summary: "A Pareto front from few trials, by a quadratic surrogate of every objective (MAP, Li et al. 2024)",
  options: {
    /** That the surrogates are fitted to. Default: (n + 1)(n + 2) for n numbers. */
    points: { kind: "integer", low: 3, high: 100_000 },
    ...mapOptions,
  },
  front: true,
  refuses: ({ space }) => refusesQuadratic(space, "map"),
  *search(context, options) {
    const { space } = context;
    const domain = { space, pointAt: (unit: readonly number[]) => fromUnit(space, unit) };
    const count = optionalNumber(options, "points") ?? designSize(space.length);
    const units = design(space.length, count, context.random("map design"));
    const measured = yield* measure(context, domain, units, "design");
    if (measured.length === 0) return undefined;
    return yield* confirmFront(context, domain, measured, settingsOf(options));
  },
};
