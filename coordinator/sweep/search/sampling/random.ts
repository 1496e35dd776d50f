import { fromUnit } from "../../space.js";
import { Proposed } from "../finite.js";
import { rolling } from "../rolling.js";
import type { SearchKind } from "../searching.js";

export const random: SearchKind = {
  name: "random",
  summary: "Independent random points, the measure of every other search (Bergstra and Bengio 2012)",
  options: {},
  ends: false,
  *search(context) {
    const { space } = context;
    const numbers = context.random("random");
    const proposed = new Proposed(space);
    yield* rolling(context, () => {
      const point = proposed.fresh(() =>
        fromUnit(
          space,
          space.map(() => numbers.uniform()),
        ),
      );
      return point && { point };
    });
    return undefined;
  },
};
