import { formatBytes } from "../../shared/bytes.js";
import { formatCount, quote } from "../../shared/quote.js";
import { ProgressModel } from "../job/progress-model.js";
import type { JobEvent } from "../job.js";
import { formatQuantity, summarizePlan } from "../plan/report.js";
import { printableLines } from "./printable.js";
import { ProgressBar, ProgressLines, showProgress } from "./progress-bar.js";
import { PromptsProgress } from "./prompts-progress.js";

/** How a job is shown while it runs. */
export interface JobView {
  observe(event: JobEvent): void;
  /** Takes away what would be in the way of a last word. */
  close(): void;
}

/** A bar on a terminal, plain lines in a pipe, one JSON object per line for machines. */
export function createView(options: {
  json: boolean;
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
}): JobView {
  if (options.json) return new JsonView(options.stdout);
  return options.stderr.isTTY ? new BarView(options.stderr) : new LineView(options.stderr);
}

const redrawMs = 100;

class BarView implements JobView {
  readonly #model = new ProgressModel(() => performance.now());
  readonly #prompts = new PromptsProgress(() => performance.now());
  readonly #bar: ProgressBar;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: NodeJS.WriteStream) {
    this.#bar = new ProgressBar(stream);
  }

  observe(event: JobEvent): void {
    this.#model.observe(event);
    for (const line of describe(event)) this.#bar.say(line);
    if (event.type === "prompts") this.#bar.draw(this.#prompts.show(event));
    if (event.type !== "writing" && event.type !== "gathering" && event.type !== "sending") return;
    this.#timer ??= setInterval(() => this.#draw(), redrawMs);
    this.#draw();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#bar.close();
  }

  #draw(): void {
    this.#bar.draw(showProgress(this.#model.progress));
  }
}

class LineView implements JobView {
  readonly #model = new ProgressModel(() => performance.now());
  readonly #prompts = new PromptsProgress(() => performance.now());
  readonly #lines: ProgressLines;

  constructor(stream: NodeJS.WriteStream) {
    this.#lines = new ProgressLines(stream);
  }

  observe(event: JobEvent): void {
    this.#model.observe(event);
    for (const line of describe(event)) this.#lines.say(line);
    const { progress } = this.#model;
    if (event.type === "prompts") this.#lines.draw(this.#prompts.show(event));
    else if (progress.work > 0) this.#lines.draw(showProgress(progress));
  }

  close(): void {}
}

class JsonView implements JobView {
  readonly #stream: NodeJS.WriteStream;
  readonly #model = new ProgressModel(() => performance.now());
  #lastProgress = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  observe(event: JobEvent): void {
    this.#model.observe(event);
    if (event.type === "dispatch") {
      this.#observeDispatch(event.event);
      return;
    }
    if (event.type === "sending" && event.sent < event.bytes && !this.#isTime()) return;
    if (event.type === "planned") {
      const { plan } = event;
      this.#write({ event: "planned", digest: plan.digest, tensors: plan.tensors.length, warnings: plan.warnings });
    } else {
      const { type, ...facts } = event;
      this.#write({ event: type, ...facts });
    }
  }

  close(): void {}

  #observeDispatch(event: Extract<JobEvent, { type: "dispatch" }>["event"]): void {
    if (event.type === "agent") {
      this.#write({ event: "agent", agent: event.agent.name, state: event.state });
    } else if (event.type === "progress") {
      if (this.#isTime()) this.#write({ event: "progress", ...this.#model.progress });
    } else if (event.type === "waiting") {
      this.#write({ event: "waiting", reason: event.reason });
    } else if (event.type === "resumed") {
      this.#write({ event: "agents came" });
    } else {
      const { type, unit, agent, epoch } = event;
      const failure = type === "failed" ? { reason: event.error.message, retryMs: event.retryMs } : {};
      this.#write({ event: `unit ${type}`, unit: unit.id, agent: agent.name, epoch, ...failure });
    }
  }

  /** Whether machines are told once more how far it is. */
  #isTime(): boolean {
    if (performance.now() - this.#lastProgress < redrawMs) return false;
    this.#lastProgress = performance.now();
    return true;
  }

  #write(record: Record<string, unknown>): void {
    this.#stream.write(`${JSON.stringify(record)}\n`);
  }
}

/** What is worth a line of its own. */
function describe(event: JobEvent): readonly string[] {
  switch (event.type) {
    case "planned": {
      return [summarizePlan(event.plan), ...event.plan.warnings.map((warning) => `warning: ${warning}`)];
    }
    case "stage":
      return [`${quote(event.name)} is merged by itself first: ${event.reason}`];
    case "prompts": {
      const { done, doneBefore, prompts } = event;
      const before = doneBefore === 0 ? "" : `, ${formatCount(doneBefore)} of them done before`;
      return done > doneBefore
        ? []
        : [`running the base on ${formatQuantity(prompts, "prompt")}, for the gates${before}`];
    }
    case "prompts failed": {
      const next = event.retryMs === undefined ? "" : `; again in ${(event.retryMs / 1000).toFixed(1)} s`;
      return [printableLines(`running the base failed on ${event.agent}: ${event.reason}${next}`)];
    }
    case "resumed": {
      const { keptPieces, keptBytes, redonePieces, problem } = event.resumed;
      const redone = redonePieces > 0 ? `, and damaged ones are computed again: ${formatCount(redonePieces)}` : "";
      const damage = problem === undefined ? [] : [`warning: ${problem}`];
      return [
        ...damage,
        `resuming: ${formatQuantity(keptPieces, "piece")} in place (${formatBytes(keptBytes)})${redone}`,
      ];
    }
    case "started":
      return [`${formatQuantity(event.cost.units, "unit")} on ${event.agents.join(", ")}`];
    case "dispatch":
      return describeDispatch(event.event);
    default:
      return [];
  }
}

function describeDispatch(event: Extract<JobEvent, { type: "dispatch" }>["event"]): readonly string[] {
  switch (event.type) {
    case "failed": {
      const { unit, agent, error, retryMs } = event;
      const next = retryMs === undefined ? "" : `; again in ${(retryMs / 1000).toFixed(1)} s`;
      return [`unit ${unit.id} failed on ${agent.name}: ${error.message}${next}`];
    }
    case "agent":
      return event.state === "ready" ? [] : [`agent ${event.agent.name} is ${event.state}`];
    case "waiting":
      return [event.reason];
    case "resumed":
      return ["work goes on"];
    default:
      return [];
  }
}
