import { quote } from "../../shared/quote.js";
import { decimalsFor, formatNumber } from "../evaluate/results/format.js";
import { formatQuantity } from "../plan/report.js";
import type { Spent } from "../sweep/budget.js";
import type { SweepEvent } from "../sweep/job.js";
import { toJson } from "../sweep/store/json.js";
import type { RunnerEvent } from "../sweep/trials/runner-event.js";
import type { Budget, TrialRecord } from "../sweep/types.js";
import { formatSeconds } from "./duration.js";
import { printable, printableLines } from "./printable.js";
import { ProgressBar, ProgressLines, type ShownProgress } from "./progress-bar.js";
import { shortPoint } from "./sweep-trials.js";

/** How a sweep is shown while it runs. */
export interface SweepView {
  observe(event: SweepEvent): void;
  /** Takes away what would be in the way of a last word. */
  close(): void;
}

/** A bar on a terminal, plain lines in a pipe, one JSON object per line for machines. */
export function createSweepView(options: {
  readonly json: boolean;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}): SweepView {
  const { json, stdout, stderr } = options;
  if (json) return new JsonView(stdout);
  return new PeopleView(stderr.isTTY ? new ProgressBar(stderr) : new ProgressLines(stderr));
}

class PeopleView implements SweepView {
  readonly #surface: ProgressBar | ProgressLines;
  #started = performance.now();
  #budget: Budget = {};
  /** Shares of the budget are of all trials, speed is of those of this run. */
  #recorded = 0;
  #spent: Pick<Spent, "examples" | "minutes"> = { examples: 0, minutes: 0 };
  #trials = 0;
  #examples = 0;
  #failed = 0;
  #best: TrialRecord | undefined;

  constructor(surface: ProgressBar | ProgressLines) {
    this.#surface = surface;
  }

  observe(event: SweepEvent): void {
    const line = describe(event, this.#best);
    // Agents and models choose their names and words.
    if (line !== undefined) this.#surface.say(printableLines(line));
    if (event.type === "started") {
      this.#started = performance.now();
      this.#budget = event.budget;
      this.#recorded = event.recorded;
      this.#spent = event.spent;
      this.#best = event.best;
    } else if (event.type === "trial") {
      this.#trials += 1;
      this.#examples += event.record.fresh;
      if (event.record.status === "failed") this.#failed += 1;
      if (event.isBest) this.#best = event.record;
      this.#surface.draw(this.#progress());
    }
  }

  close(): void {
    this.#surface.close();
  }

  #progress(): ShownProgress {
    const seconds = (performance.now() - this.#started) / 1000;
    const { trials, examples, minutes } = this.#budget;
    // Whichever ends it first.
    const left = Math.min(
      trials === undefined
        ? Number.POSITIVE_INFINITY
        : ((trials - this.#recorded - this.#trials) * seconds) / this.#trials,
      examples === undefined || this.#examples === 0
        ? Number.POSITIVE_INFINITY
        : ((examples - this.#spent.examples - this.#examples) * seconds) / this.#examples,
      minutes === undefined ? Number.POSITIVE_INFINITY : 60 * (minutes - this.#spent.minutes) - seconds,
    );
    const done = this.#recorded + this.#trials;
    const parts = [
      ...(this.#best === undefined ? [] : [`best ${scoresOf(this.#best)}`]),
      trials === undefined ? formatQuantity(done, "trial") : `${done}/${trials} trials`,
      `${((60 * this.#trials) / seconds).toFixed(1)} trials/min`,
      ...(Number.isFinite(left) ? [`ETA ${formatSeconds(Math.max(0, left))}`] : []),
      ...(this.#failed === 0 ? [] : [`${this.#failed} failed`]),
      ...(this.#best === undefined ? [] : [shortPoint(this.#best.point)]),
    ];
    const percent = Number.isFinite(left) ? (100 * seconds) / (seconds + Math.max(0, left)) : 0;
    return { phase: "sweeping", percent, text: printable(parts.join("  ")) };
  }
}

/** What is worth a line of its own. `last`: the best trial until then. */
function describe(event: SweepEvent, last: TrialRecord | undefined): string | undefined {
  switch (event.type) {
    case "started": {
      const before = event.recorded === 0 ? "" : `, ${formatQuantity(event.recorded, "trial")} on record`;
      return `${event.search} over ${formatQuantity(event.dimensions, "dimension")}${before}`;
    }
    case "trial": {
      const { record, isBest } = event;
      if (record.failure !== undefined) return `trial ${record.trial} failed: ${record.failure.message}`;
      if (!isBest) return undefined;
      // A higher rung's best may score less than a lower one's.
      const isAnotherRung = last !== undefined && last.examples !== record.examples;
      const on = isAnotherRung ? ` on ${formatQuantity(record.examples, "example")}` : "";
      return `trial ${record.trial}: ${scoresOf(record)}${on}, the best so far (${shortPoint(record.point)})`;
    }
    case "note":
      return `note: ${event.message}`;
    case "judging":
      return `judging ${event.what}`;
    case "runner":
      return describeRunner(event.event);
    default:
      return undefined;
  }
}

function describeRunner(event: RunnerEvent): string | undefined {
  switch (event.type) {
    case "agent":
      return event.state === "ready" ? undefined : `agent ${event.agent} is ${event.state}`;
    case "unfit":
      return `agent ${quote(event.agent)} does not take part: ${event.reason}`;
    case "waiting":
      return event.reason;
    case "resumed":
      return "work goes on";
    case "fallback":
      return `note: ${event.agent} runs models on ${event.provider}: ${event.reason}`;
    case "retry":
      return `${event.trial} failed on ${event.agent} and is tried again: ${event.reason}`;
    case "note":
      return `note: ${event.message}`;
  }
}

function scoresOf({ objectives }: TrialRecord): string {
  return Object.entries(objectives)
    .map(([name, value]) => `${name} ${formatNumber(value, decimalsFor([value]))}`)
    .join(", ");
}

class JsonView implements SweepView {
  readonly #stream: NodeJS.WriteStream;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  observe(event: SweepEvent): void {
    if (event.type === "progress") return;
    if (event.type === "trial") this.#write({ event: "trial", isBest: event.isBest, ...event.record });
    else if (event.type === "done") this.#write({ event: "done", ...event.result });
    else {
      const { type, ...facts } = event.type === "runner" ? event.event : event;
      this.#write({ event: type, ...facts });
    }
  }

  close(): void {}

  #write(record: Record<string, unknown>): void {
    this.#stream.write(`${toJson(record)}\n`);
  }
}
