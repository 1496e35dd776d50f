import { quote } from "../../shared/quote.js";
import { encodeNumber } from "../assemble/journal-records.js";
import type { EvaluationEvent } from "../evaluate/evaluation.js";
import { formatNumber } from "../evaluate/results/format.js";
import type { TaskResult } from "../evaluate/types.js";
import { formatQuantity } from "../plan/report.js";
import { formatSeconds } from "./duration.js";
import { printable, printableLines } from "./printable.js";
import { ProgressBar, ProgressLines, type ShownProgress } from "./progress-bar.js";

/** How an evaluation is shown while it runs. */
export interface EvaluationView {
  observe(event: EvaluationEvent): void;
  /** Takes away what would be in the way of a last word. */
  close(): void;
}

/** A bar on a terminal, plain lines in a pipe, one JSON object per line for machines. */
export function createEvaluationView(options: {
  readonly json: boolean;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}): EvaluationView {
  const { json, stdout, stderr } = options;
  if (json) return new JsonView(stdout);
  return new PeopleView(stderr.isTTY ? new ProgressBar(stderr) : new ProgressLines(stderr));
}

class PeopleView implements EvaluationView {
  readonly #surface: ProgressBar | ProgressLines;
  readonly #started = performance.now();
  #batches = 0;
  #done = 0;
  #doneBefore = 0;
  #examples = 0;
  /** By model: how many tasks it has, and the scores so far. */
  readonly #tasks = new Map<string, number>();
  readonly #scores = new Map<string, string[]>();

  constructor(surface: ProgressBar | ProgressLines) {
    this.#surface = surface;
  }

  observe(event: EvaluationEvent): void {
    const line = describe(event);
    // Agents choose their names and words.
    if (line !== undefined) this.#surface.say(printableLines(line));
    if (event.type === "prepared") this.#tasks.set(event.model, event.tasks);
    else if (event.type === "scored") this.#score(event.model, event.result);
    else if (event.type === "started") {
      this.#batches = event.batches;
      this.#done = event.done;
      this.#doneBefore = event.done;
      this.#surface.draw(this.#progress(event.agents.join(", ")));
    } else if (event.type === "batch") {
      this.#done += 1;
      this.#examples += event.examples;
      this.#surface.draw(this.#progress(`${event.model}: ${event.task}`));
    }
  }

  close(): void {
    this.#surface.close();
  }

  /** One line for a model, once it is through. */
  #score(model: string, result: TaskResult): void {
    const scores = [...(this.#scores.get(model) ?? []), `${result.task} ${scoreOf(result)}`];
    this.#scores.set(model, scores);
    if (scores.length === this.#tasks.get(model)) this.#surface.say(`${model}: ${scores.join(", ")}`);
  }

  #progress(what: string): ShownProgress {
    const seconds = (performance.now() - this.#started) / 1000;
    const fresh = this.#done - this.#doneBefore;
    const eta = fresh === 0 ? [] : [`ETA ${formatSeconds(((this.#batches - this.#done) * seconds) / fresh)}`];
    const rate = `${(this.#examples / seconds).toFixed(1)} examples/s`;
    return {
      phase: "evaluating",
      percent: this.#batches === 0 ? 100 : (100 * this.#done) / this.#batches,
      text: [printable(what), `${this.#done}/${this.#batches} batches`, rate, ...eta].join("  "),
    };
  }
}

/** What is worth a line of its own. */
function describe(event: EvaluationEvent): string | undefined {
  switch (event.type) {
    case "note":
      return `note: ${event.message}`;
    case "exported":
      return event.notes.length === 0 ? undefined : event.notes.join("; ");
    case "started": {
      const before = event.done === 0 ? "" : `, ${event.done} of them done before`;
      return `${formatQuantity(event.batches, "batch", "batches")}${before}, on ${event.agents.join(", ")}`;
    }
    case "fallback":
      return `note: ${event.agent} runs models on ${event.provider}: ${event.reason}`;
    case "unfit":
      return `agent ${quote(event.agent)} does not take part: ${event.reason}`;
    case "dispatch":
      return describeDispatch(event.event);
    default:
      return undefined;
  }
}

function scoreOf({ metric, metrics }: TaskResult): string {
  return formatNumber(metrics[metric]?.value, 3);
}

function describeDispatch(event: Extract<EvaluationEvent, { type: "dispatch" }>["event"]): string | undefined {
  if (event.type === "failed") {
    const { unit, agent, error, retryMs } = event;
    const next = retryMs === undefined ? "" : `; again in ${(retryMs / 1000).toFixed(1)} s`;
    return `slice ${unit.id} failed on ${agent.name}: ${error.message}${next}`;
  }
  if (event.type === "agent")
    return event.state === "ready" ? undefined : `agent ${event.agent.name} is ${event.state}`;
  if (event.type === "waiting") return event.reason;
  return event.type === "resumed" ? "work goes on" : undefined;
}

class JsonView implements EvaluationView {
  readonly #stream: NodeJS.WriteStream;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  observe(event: EvaluationEvent): void {
    if (event.type === "scored") {
      const { records, ...result } = event.result;
      this.#write({ event: "scored", model: event.model, examples: records.length, ...result });
    } else if (event.type === "dispatch") {
      this.#observeDispatch(event.event);
    } else {
      const { type, ...facts } = event;
      this.#write({ event: type, ...facts });
    }
  }

  close(): void {}

  #observeDispatch(event: Extract<EvaluationEvent, { type: "dispatch" }>["event"]): void {
    if (event.type === "progress") return;
    if (event.type === "agent") this.#write({ event: "agent", agent: event.agent.name, state: event.state });
    else if (event.type === "waiting") this.#write({ event: "waiting", reason: event.reason });
    else if (event.type === "resumed") this.#write({ event: "agents came" });
    else {
      const { type, unit, agent, epoch } = event;
      const failure = type === "failed" ? { reason: event.error.message, retryMs: event.retryMs } : {};
      this.#write({ event: `slice ${type}`, slice: unit.id, agent: agent.name, epoch, ...failure });
    }
  }

  #write(record: Record<string, unknown>): void {
    this.#stream.write(`${JSON.stringify(record, (_, value) => encode(value))}\n`);
  }
}

/** JSON has no NaN: the score of a broken model is to be told from none. */
function encode(value: unknown): unknown {
  return typeof value === "number" ? encodeNumber(value) : value;
}
