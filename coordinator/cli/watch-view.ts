import { formatBytes } from "../../shared/bytes.js";
import type { ClusterEvent, JobRecord } from "../../shared/cluster/records.js";
import type { Progress } from "../job/progress-model.js";
import type { JobNews } from "./follow-job.js";
import { printable, printableLines } from "./printable.js";
import { ProgressBar, ProgressLines, showProgress } from "./progress-bar.js";

/** How a job that runs elsewhere is shown. */
export interface WatchView {
  observe(news: JobNews): void;
  /** Takes away what would be in the way of a last word. */
  close(): void;
}

/** A bar on a terminal, plain lines in a pipe, one JSON object per line for machines. */
export function createWatchView(options: {
  json: boolean;
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
}): WatchView {
  const { json, stdout, stderr } = options;
  if (json) return new JsonNews(stdout);
  return new ShownNews(stderr.isTTY ? new ProgressBar(stderr) : new ProgressLines(stderr));
}

class ShownNews implements WatchView {
  readonly #surface: ProgressBar | ProgressLines;
  #phase = "queued";

  constructor(surface: ProgressBar | ProgressLines) {
    this.#surface = surface;
  }

  observe(news: JobNews): void {
    for (const line of describeNews(news)) this.#surface.say(line);
    if (news.type === "changed") this.#phase = news.record.state;
    // Before there is anything to do, nothing is no share of it.
    if (news.type !== "progress" || news.progress.work === 0) return;
    const { workDone: done, etaSeconds, ...facts } = news.progress;
    const progress: Progress = { ...facts, phase: this.#phase, done, etaSeconds };
    this.#surface.draw(showProgress(progress));
  }

  close(): void {
    this.#surface.close();
  }
}

class JsonNews implements WatchView {
  readonly #stream: NodeJS.WriteStream;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  observe(news: JobNews): void {
    this.#stream.write(`${JSON.stringify(newsToJson(news))}\n`);
  }

  close(): void {}
}

/** What `amalgam logs --json` and `amalgam watch --json` write of an event: its own facts beside ours. */
export function eventToJson({ type, fields, ...event }: ClusterEvent): Record<string, unknown> {
  return { ...fields, event: type, ...event };
}

function newsToJson(news: JobNews): Record<string, unknown> {
  switch (news.type) {
    case "changed": {
      const { id: job, state, leader, starts, cancel, reason, digest } = news.record;
      return { event: "state", job, state, leader, starts, cancel, reason, digest };
    }
    case "progress":
      return { event: "progress", ...news.progress };
    case "told":
      return eventToJson(news.event);
    case "neglected":
      return { event: "neglected", reason: news.reason };
    case "connection":
      return { event: news.isConnected ? "connected" : "disconnected" };
  }
}

/** The job's record says the same, and is never lost on the way. */
const toldByRecord: ReadonlySet<string> = new Set([
  "leading",
  "waiting",
  "agents came",
  "committing",
  "job done",
  "job failed",
  "job canceled",
]);

/** What is worth a line of its own. */
function describeNews(news: JobNews): readonly string[] {
  switch (news.type) {
    case "changed":
      return describeChange(news.record, news.before);
    case "progress":
      return [];
    case "told": {
      const { level, type, message } = news.event;
      if (type === "committed") return describeWork(news.event);
      if (level === "debug" || toldByRecord.has(type)) return [];
      return [level === "info" ? printable(message) : `${level}: ${printable(message)}`];
    }
    case "neglected":
      return [news.reason];
    case "connection":
      return [news.isConnected ? "NATS is back" : "NATS is out of reach: the job goes on, and so does watching it"];
  }
}

/** What it took, as far as it was told. */
function describeWork({ fields = {} }: ClusterEvent): readonly string[] {
  const { bytesRead, bytesWritten, seconds } = fields;
  if (typeof bytesRead !== "number" || typeof bytesWritten !== "number" || typeof seconds !== "number") return [];
  return [`read ${formatBytes(bytesRead)}, wrote ${formatBytes(bytesWritten)}, in ${seconds.toFixed(1)} s`];
}

function describeChange(record: JobRecord, before: JobRecord | undefined): readonly string[] {
  const { id, state, leader, cancel } = record;
  const because = record.reason === undefined ? "" : `: ${printableLines(record.reason)}`;
  const leading = leader === undefined ? "" : `, led by ${printable(leader)}`;
  if (before === undefined) return [`${printable(id)}: ${state}${state === "queued" ? "" : leading}${because}`];
  const lines: string[] = [];
  if (leader !== undefined && leader !== before.leader) {
    const previous = before.leader === undefined ? "leads the job" : `takes over from ${printable(before.leader)}`;
    lines.push(`${printable(leader)} ${previous}`);
  }
  if (cancel && !before.cancel) lines.push("The job is to be canceled");
  if (state === before.state && record.reason === before.reason) return lines;
  if (state === "waiting") lines.push(`waiting${because}`);
  if (state === "running" && before.state === "waiting") lines.push("Work goes on");
  if (state === "queued") lines.push(`queued again${because}`);
  if (state === "committing") lines.push("Checking and publishing the output");
  return lines;
}
