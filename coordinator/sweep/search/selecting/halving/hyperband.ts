import { numberOption } from "../../options.js";
import type { SearchKind } from "../../searching.js";
import { candidates, proposalsOption } from "../candidates.js";
import { bracket, refusesOneRung } from "./bracket.js";

export const hyperband: SearchKind = {
  name: "hyperband",
  summary: "Successive halving from every rung in turn, for when few examples may mislead (Li et al. 2018)",
  options: {
    eta: { kind: "number", default: 3, low: 1.5, high: 100 },
    /** Times that all brackets are run, with new points each. */
    rounds: { kind: "integer", default: 1, low: 1, high: 1000 },
    proposals: proposalsOption,
  },
  rungs: true,
  refuses: (problem) => refusesOneRung(problem, "hyperband"),
  *search(context, options) {
    const eta = numberOption(options, "eta");
    const next = candidates(context, options);
    const rungs = context.rungs.length;
    for (let round = 0; round < numberOption(options, "rounds"); round += 1) {
      for (let firstRung = 0; firstRung < rungs; firstRung += 1) {
        // Algorithm 1, line 3, where a bracket's s is the number of rungs above its first.
        const s = rungs - 1 - firstRung;
        const size = Math.ceil((rungs / (s + 1)) * eta ** s);
        const points = Array.from({ length: size }, next).filter((point) => point !== undefined);
        yield* bracket(context, points, { firstRung, eta, name: `bracket ${firstRung + 1}` });
      }
    }
    return undefined;
  },
};
