import { decimalsFor, formatNumber } from "../evaluate/results/format.js";
import type { ParameterValue, Point } from "../sweep/space.js";
import type { TrialRecord } from "../sweep/types.js";
import { printable } from "./printable.js";
import { formatTable } from "./table.js";

/** Trials as a table, in the order given; lines are cut at `width`. */
export function formatTrials(trials: readonly TrialRecord[], width: number): string {
  const names = Object.keys(trials[0]?.objectives ?? {});
  const decimals = names.map((name) => decimalsFor(trials.map(({ objectives }) => objectives[name] ?? Number.NaN)));
  const isViolated = trials.some(({ violation }) => violation > 0);
  const rows = trials.map(({ trial, objectives, violation, point }) => [
    String(trial),
    ...names.map((name, i) => formatNumber(objectives[name], decimals[i] ?? 3)),
    ...(isViolated ? [formatNumber(violation, 3)] : []),
    shortPoint(point),
  ]);
  const table = formatTable(["trial", ...names.map(printable), ...(isViolated ? ["violation"] : []), "point"], rows);
  return table.replace(/^.*$/gm, (line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line));
}

/** Values that are enough to tell points apart. */
const shownValues = 6;

/** `lambda 0.7, rotated weight 1.25`. */
export function shortPoint(point: Point): string {
  const all = Object.entries(point);
  const shown = all.slice(0, shownValues).map(([name, value]) => `${name} ${shortValue(value)}`);
  const rest = all.length - shown.length;
  return printable(rest > 0 ? `${shown.join(", ")} and ${rest} more` : shown.join(", "));
}

function shortValue(value: ParameterValue): string {
  return typeof value === "number" ? String(Number(value.toPrecision(4))) : String(value);
}
