import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { formatQuantity } from "../plan/report.js";
import { ranked } from "../sweep/rank.js";
import { toJson } from "../sweep/store/json.js";
import { readState } from "../sweep/store/state.js";
import { readTrials } from "../sweep/store/store.js";
import { formatTrials } from "./sweep-trials.js";
import type { Terminal } from "./terminal.js";

/** `amalgam sweep top`: the best trials so far, also while the sweep runs. */
export async function topTrials(
  folder: string,
  { number, json }: { readonly number: number; readonly json: boolean },
  { stdout }: Terminal,
): Promise<number> {
  const state = await readState(folder);
  if (state === undefined) {
    throw new AmalgamError("usage", `There is no sweep in ${quote(folder)}: name a folder that "amalgam sweep" made`);
  }
  const trials = await readTrials(folder);
  const best = ranked(trials).slice(0, number);
  if (json) {
    stdout.write(`${toJson({ state: state.state, trials: trials.length, top: best })}\n`);
    return 0;
  }
  const failed = trials.filter(({ status }) => status === "failed").length;
  const failures = failed === 0 ? "" : `, ${failed} failed`;
  const where = state.state === "done" ? `, ${state.ended ?? "done"}` : "";
  stdout.write(`${formatQuantity(trials.length, "trial")}${failures}${where}\n`);
  const width = stdout.isTTY ? stdout.columns : Number.POSITIVE_INFINITY;
  if (best.length > 0) stdout.write(formatTrials(best, width));
  return 0;
}
