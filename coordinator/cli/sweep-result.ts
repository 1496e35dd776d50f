import { basename, join, resolve } from "node:path";
import { formatCount } from "../../shared/quote.js";
import { decimalsFor, formatNumber, formatSeconds, formatSigned, nothing } from "../evaluate/results/format.js";
import type { Estimate } from "../evaluate/types.js";
import { formatQuantity } from "../plan/report.js";
import { ranked } from "../sweep/rank.js";
import type { SweepResult } from "../sweep/result.js";
import { sweepFiles } from "../sweep/store/store.js";
import type { TrialRecord } from "../sweep/types.js";
import { printable } from "./printable.js";
import { formatTrials } from "./sweep-trials.js";
import { formatTable } from "./table.js";

const shownTrials = 5;
const shownOfFront = 20;

/** What a sweep came to, for people. */
export function formatResult(result: SweepResult, trials: readonly TrialRecord[], width: number): string {
  const { total, failed } = result.trials;
  const failures = failed === 0 ? "" : `, ${formatCount(failed)} failed`;
  const facts = `${formatQuantity(total, "trial")}${failures}, ${formatQuantity(result.examples, "example")}`;
  return [
    `${result.search}: ${facts}, in ${formatSeconds(result.seconds)}; ${printable(result.ended)}\n`,
    `\n${formatTrials(ranked(trials).slice(0, shownTrials), width)}`,
    frontLine(result),
    `\n${comparison(result)}`,
    ...result.warnings.map((warning) => `warning: ${printable(warning)}\n`),
    `\nThe best recipe: ${join(resolve(result.folder), sweepFiles.best)}\nAll of it: ${resolve(result.folder)}\n`,
  ].join("");
}

/** Which trials no other one beats in every objective. */
function frontLine({ front }: SweepResult): string {
  if (front.length === 0) return "";
  const trials = front.flatMap(({ trial }) => (trial === undefined ? [] : [trial])).toSorted((a, b) => a - b);
  const rest = trials.length - shownOfFront;
  const names = `${trials.slice(0, shownOfFront).join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
  return `The front, ${formatQuantity(front.length, "merge")} that no other one beats in every objective: trials ${names}\n`;
}

/** The best merge beside the start, the base and the experts, by objective and by task. */
function comparison({ best, start, references, gains, taskGains, judgedOn }: SweepResult): string {
  const judgements = [
    best.heldOut ?? best.searched,
    start && (start.heldOut ?? start.searched),
    ...references.map(({ judgement }) => judgement),
  ];
  const line = (name: string, values: readonly (number | undefined)[], gain: Estimate | undefined): string[] => {
    const decimals = decimalsFor(values.filter((value) => value !== undefined));
    return [name, ...values.map((value) => formatNumber(value, decimals)), ...gainCells(gain, decimals)];
  };
  const objectives = Object.keys(best.searched.objectives).map((name) =>
    line(
      name,
      judgements.map((judgement) => judgement?.objectives[name]),
      gains.find(({ objective }) => objective === name)?.gain,
    ),
  );
  const tasks = taskGains.map(({ task, metric, difference }) =>
    line(
      `${task} ${metric}`,
      judgements.map((judgement) => judgement?.metrics[task]?.[metric]),
      difference,
    ),
  );
  // Losses have no score for each example; what was gained is told by the tasks' metrics.
  const others = gains
    .filter(({ objective }) => !objectives.some(([name]) => name === objective))
    .map(({ objective, gain }) =>
      line(
        objective,
        judgements.map(() => undefined),
        gain,
      ),
    );
  const where = judgedOn === "held out" ? "held-out examples" : "searched examples";
  const headings = [
    `on ${where}`,
    "best",
    "start",
    ...shortNames(references.map(({ model }) => model)),
    "gain",
    "95 % interval",
  ];
  const isSaid = new Set(objectives.map(([name]) => name));
  return formatTable(headings, [...objectives, ...others, ...tasks.filter(([name]) => !isSaid.has(name))]);
}

/** The last parts of paths, where they tell the models apart. */
function shortNames(models: readonly string[]): readonly string[] {
  const short = models.map((model) => printable(basename(model) || model));
  return new Set(short).size === short.length ? short : models.map(printable);
}

function gainCells(gain: Estimate | undefined, decimals: number): readonly string[] {
  if (gain === undefined) return [nothing, nothing];
  const { value, low, high } = gain;
  const interval = Number.isNaN(low) ? nothing : `${formatSigned(low, decimals)} to ${formatSigned(high, decimals)}`;
  return [formatSigned(value, decimals), interval];
}
