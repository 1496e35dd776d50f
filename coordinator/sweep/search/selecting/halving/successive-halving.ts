import { numberOption } from "../../options.js";
import type { SearchKind } from "../../searching.js";
import { proposalsOption, takeCandidates } from "../candidates.js";
import { bracket, refusesOneRung } from "./bracket.js";

export const successiveHalving: SearchKind = {
  name: "successive-halving",
  summary: "Many points on few examples, the best third of them on more (Jamieson and Talwalkar 2016)",
  options: {
    /** That begin on the lowest rung. */
    candidates: { kind: "integer", default: 27, low: 2, high: 100_000 },
    /** One of so many goes on to the next rung. */
    eta: { kind: "number", default: 3, low: 1.5, high: 100 },
    proposals: proposalsOption,
  },
  rungs: true,
  refuses: (problem) => refusesOneRung(problem, "successive-halving"),
  *search(context, options) {
    const points = takeCandidates(context, options, numberOption(options, "candidates"));
    const eta = numberOption(options, "eta");
    yield* bracket(context, points, { firstRung: 0, eta, name: "halving" });
    return undefined;
  },
};
