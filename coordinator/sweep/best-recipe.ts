import { packageVersion } from "../../shared/rpc/version.js";
import { decimalsFor, formatNumber } from "../evaluate/results/format.js";
import type { Candidate } from "./result.js";
import type { SweepSpec } from "./types.js";

/** The best recipe of a sweep as `amalgam merge` runs it from the sweep's folder, with a word on where it comes from. */
export function bestRecipe(spec: SweepSpec, best: Candidate, folder: string): string {
  const { objectives } = best.heldOut ?? best.searched;
  const scores = Object.entries(objectives).map(
    ([name, value]) => `${name} ${formatNumber(value, decimalsFor([value]))}`,
  );
  const where = best.heldOut === undefined ? "" : " on held-out examples";
  const which = best.trial === undefined ? "The recommended point" : `Trial ${best.trial}`;
  // Names come from files, and a comment ends with its line.
  const line = `${which} of ${spec.search.kind.name} by Amalgam ${packageVersion()}: ${scores.join(", ")}${where}`;
  return `# ${line.replace(/\s+/g, " ")}\n${spec.template.renderFor(best.point, folder)}`;
}
