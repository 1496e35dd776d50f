import { fromUnit } from "../../space.js";
import { Proposed } from "../finite.js";
import { rolling } from "../rolling.js";
import type { SearchKind } from "../searching.js";
import { maxSobolDimensions, SobolSequence } from "./sobol-sequence.js";

export const sobol: SearchKind = {
  name: "sobol",
  summary:
    "Points that fill the space more evenly than random ones: Sobol' 1967, numbers of Joe and Kuo 2008, scrambled",
  options: {},
  ends: false,
  *search(context) {
    const { space } = context;
    if (space.length > maxSobolDimensions) {
      context.note(
        `Only the first ${maxSobolDimensions} of ${space.length} dimensions are filled evenly; others randomly`,
      );
    }
    const sequence = new SobolSequence(space.length, context.random("sobol"));
    const proposed = new Proposed(space);
    yield* rolling(context, () => {
      const point = proposed.fresh(() => fromUnit(space, sequence.next()));
      return point && { point };
    });
    return undefined;
  },
};
