import { SingleBar } from "cli-progress";
import { formatBytes } from "../../shared/bytes.js";
import { formatCount, quote } from "../../shared/quote.js";
import type { JobEvent } from "../job.js";
import { formatQuantity, summarizePlan } from "../plan/report.js";
import { type Progress, ProgressModel } from "./progress-model.js";

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
const lineEveryMs = 5_000;

class BarView implements JobView {
  readonly #stream: NodeJS.WriteStream;
  readonly #model = new ProgressModel(() => performance.now());
  readonly #bar: SingleBar;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    this.#bar = new SingleBar({
      stream,
      clearOnComplete: true,
      hideCursor: true,
      format: "{phase} [{bar}] {percentage} %  {text}",
      barsize: 28,
    });
  }

  observe(event: JobEvent): void {
    this.#model.observe(event);
    for (const line of describe(event)) this.#say(line);
    if (event.type === "writing" || event.type === "gathering") {
      if (this.#timer === undefined) {
        this.#bar.start(100, 0, { phase: "", text: "" });
        this.#timer = setInterval(() => this.#draw(), redrawMs);
      }
      this.#draw();
    }
  }

  close(): void {
    clearInterval(this.#timer);
    if (this.#timer !== undefined) this.#bar.stop();
    this.#timer = undefined;
  }

  #draw(): void {
    const { progress } = this.#model;
    const share = progress.work === 0 ? 100 : (100 * progress.done) / progress.work;
    this.#bar.update(Math.floor(share), { phase: progress.phase, text: formatProgress(progress) });
  }

  /** A line above the bar, which is drawn again below it. */
  #say(line: string): void {
    if (this.#timer !== undefined) this.#stream.write("\r\u001b[K");
    this.#stream.write(`${line}\n`);
    if (this.#timer !== undefined) this.#draw();
  }
}

class LineView implements JobView {
  readonly #stream: NodeJS.WriteStream;
  readonly #model = new ProgressModel(() => performance.now());
  #lastLine = performance.now();

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  observe(event: JobEvent): void {
    this.#model.observe(event);
    for (const line of describe(event)) this.#stream.write(`${line}\n`);
    if (performance.now() - this.#lastLine < lineEveryMs) return;
    this.#lastLine = performance.now();
    const { progress } = this.#model;
    const share = progress.work === 0 ? 100 : (100 * progress.done) / progress.work;
    this.#stream.write(`${progress.phase} ${share.toFixed(0)} %  ${formatProgress(progress)}\n`);
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
      if (performance.now() - this.#lastProgress < redrawMs) return;
      this.#lastProgress = performance.now();
      this.#write({ event: "progress", ...this.#model.progress });
    } else {
      const { type, unit, agent, epoch } = event;
      const failure = type === "failed" ? { reason: event.error.message, retryMs: event.retryMs } : {};
      this.#write({ event: `unit ${type}`, unit: unit.id, agent: agent.name, epoch, ...failure });
    }
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
      if (event.event.type === "failed") {
        const { unit, agent, error, retryMs } = event.event;
        const next = retryMs === undefined ? "" : `; again in ${(retryMs / 1000).toFixed(1)} s`;
        return [`unit ${unit.id} failed on ${agent.name}: ${error.message}${next}`];
      }
      if (event.event.type === "agent" && event.event.state !== "ready") {
        return [`agent ${event.event.agent.name} is ${event.event.state}`];
      }
      return [];
    default:
      return [];
  }
}

function formatProgress({ done, work, bytesPerSecond, etaSeconds, unitsDone, units, retries }: Progress): string {
  const parts = [
    `${formatBytes(done)} of ${formatBytes(work)}`,
    `${formatBytes(bytesPerSecond)}/s`,
    ...(etaSeconds === undefined ? [] : [`ETA ${formatSeconds(etaSeconds)}`]),
    `${unitsDone}/${units} units`,
    ...(retries > 0 ? [formatQuantity(retries, "failed attempt")] : []),
  ];
  return parts.join("  ");
}

/** `75` → `"1m15s"`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${String(Math.floor(seconds % 60)).padStart(2, "0")}s`;
  return `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, "0")}m`;
}
