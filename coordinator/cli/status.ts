import { formatBytes } from "../../shared/bytes.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { formatQuantity } from "../plan/report.js";
import { onCluster } from "./cluster-access.js";
import { type JobFacts, lookAtJobs } from "./cluster-facts.js";
import type { ClusterOptions } from "./cluster-options.js";
import { formatAge, formatSeconds } from "./duration.js";
import { findJob } from "./find-job.js";
import { printable } from "./printable.js";
import { percentOf } from "./progress-bar.js";
import { formatTable } from "./table.js";
import type { Terminal } from "./terminal.js";

/** `amalgam status`: all jobs in a table, or one with everything that is known of it. */
export function status(id: string | undefined, options: ClusterOptions, { stdout }: Terminal): Promise<number> {
  return onCluster(options, "status", async (bus) => {
    if (id !== undefined) await findJob(bus, id);
    const jobs = await lookAtJobs(bus);
    if (id === undefined) {
      stdout.write(options.json ? `${JSON.stringify(jobs.map(factsToJson))}\n` : formatJobs(jobs));
      return 0;
    }
    const job = jobs.find(({ record }) => record.id === id);
    if (job === undefined) throw new AmalgamError("bus_failed", `NATS lost job ${quote(id)} just now: ask again`);
    stdout.write(options.json ? `${JSON.stringify(factsToJson(job))}\n` : formatJob(job));
    return 0;
  });
}

function factsToJson({ record, progress, leader }: JobFacts): Record<string, unknown> {
  const { request, ...facts } = record;
  const { recipe, ...asked } = request;
  return { ...facts, leaderIs: leader, recipe: recipe.file, ...asked, ...(progress === undefined ? {} : { progress }) };
}

function formatJobs(jobs: readonly JobFacts[]): string {
  if (jobs.length === 0) return "There are no jobs\n";
  const rows = jobs.map((job) => {
    const { record } = job;
    const age = formatAge(record.submittedAt, Date.now());
    const leader = record.leader ?? "-";
    return [record.id, stateOf(job), percent(job), eta(job), leader, age, record.request.output];
  });
  return formatTable(["JOB", "STATE", "DONE", "ETA", "LEADER", "AGE", "OUTPUT"], rows);
}

/** The state, and what makes it less certain. */
function stateOf({ record, leader }: JobFacts): string {
  const notes = [
    ...(leader === "stale" || leader === "gone" ? ["leader silent"] : []),
    ...(leader === "unknown" ? ["leader not heard"] : []),
    ...(record.cancel && record.endedAt === undefined ? ["to be canceled"] : []),
  ];
  return notes.length === 0 ? record.state : `${record.state} (${notes.join(", ")})`;
}

function percent({ record, progress }: JobFacts): string {
  if (record.state === "done") return "100 %";
  if (progress === undefined || progress.work === 0) return "-";
  return `${Math.floor(percentOf({ done: progress.workDone, work: progress.work }))} %`;
}

/** Of a running job only: one that waits comes no nearer to its end. */
function eta({ record, progress }: JobFacts): string {
  if (record.state !== "running" || progress?.etaSeconds === undefined) return "-";
  return formatSeconds(progress.etaSeconds);
}

function formatJob(job: JobFacts): string {
  const { record, progress } = job;
  const { request } = record;
  const now = Date.now();
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["state", stateOf(job)],
    ["reason", record.reason],
    ["leader", record.leader],
    ["led", record.starts > 1 ? formatQuantity(record.starts, "time") : undefined],
    ["progress", progress && formatProgress(job, progress)],
    ["agents", progress && `${progress.agents}, ${formatQuantity(progress.slots, "slot")}`],
    ["failed", progress && formatQuantity(progress.retries, "attempt")],
    ["recipe", request.recipe.file],
    ["output", request.output],
    ["assembly", request.assembly],
    ["unit size", request.unitBytes === undefined ? undefined : formatBytes(request.unitBytes)],
    ["shard size", formatBytes(request.shardBytes)],
    ["waits", request.maxWaitMs === undefined ? undefined : `${formatSeconds(request.maxWaitMs / 1000)} for agents`],
    ["digest", record.digest],
    ["submitted", `${formatAge(record.submittedAt, now)} ago by ${record.submittedBy}`],
    ["ended", record.endedAt === undefined ? undefined : `${formatAge(record.endedAt, now)} ago`],
  ];
  const lines = facts.flatMap(([name, value]) => (value === undefined ? [] : [formatFact(name, value)]));
  return `${printable(record.id)}\n${lines.join("")}`;
}

/** Values of several lines, such as complaints, stay below one another. */
function formatFact(name: string, value: string): string {
  const [first = "", ...rest] = value.split("\n").map(printable);
  const indent = " ".repeat(factWidth + 2);
  return [`  ${name.padEnd(factWidth)}${first}`, ...rest.map((line) => `${indent}${line}`), ""].join("\n");
}

const factWidth = 12;

function formatProgress(job: JobFacts, progress: NonNullable<JobFacts["progress"]>): string {
  const { unitsDone, units, bytesPerSecond } = progress;
  const rest = eta(job) === "-" ? "" : `, ETA ${eta(job)}`;
  return `${percent(job)}, ${unitsDone} of ${formatQuantity(units, "unit")}, ${formatBytes(bytesPerSecond)}/s${rest}`;
}
