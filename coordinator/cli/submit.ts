import { resolve } from "node:path";
import type { Bus } from "../../shared/bus/bus.js";
import { isOver, type JobRequest } from "../../shared/cluster/records.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { JobStore, newJobId } from "../cluster/jobs.js";
import { traceSubmission } from "../operate/submission-trace.js";
import { openDestination } from "../sinks/destination.js";
import { readCheckedRecipe } from "./check-recipe.js";
import { onCluster } from "./cluster-access.js";
import type { ClusterOptions } from "./cluster-options.js";
import type { JobNews } from "./follow-job.js";
import { interruptible } from "./interrupt.js";
import type { Terminal } from "./terminal.js";
import { conclude, showJob } from "./watch.js";
import { whoAmI } from "./who.js";

export interface SubmitOptions extends ClusterOptions {
  readonly assembly: JobRequest["assembly"];
  readonly unitSize?: number | undefined;
  readonly shardSize: number;
  readonly overwrite: boolean;
  /** Where an output on S3 is staged. */
  readonly staging?: string | undefined;
  /** Milliseconds. */
  readonly maxWait?: number | undefined;
  readonly watch: boolean;
  readonly detach: boolean;
}

/**
 * `amalgam submit`. What is wrong with the recipe alone is said here and now, and nothing is sent; what is wrong with its
 * models, as soon as a coordinator has planned it.
 */
export async function submit(
  recipeFile: string,
  output: string,
  options: SubmitOptions,
  terminal: Terminal,
): Promise<number> {
  const { text } = await readCheckedRecipe(recipeFile);
  const request: JobRequest = {
    recipe: { text, file: resolve(recipeFile) },
    ...(await placeOf(output, options.staging)),
    assembly: options.assembly,
    shardBytes: options.shardSize,
    overwrite: options.overwrite,
    ...(options.unitSize === undefined ? {} : { unitBytes: options.unitSize }),
    ...(options.maxWait === undefined ? {} : { maxWaitMs: options.maxWait }),
  };
  return onCluster(options, "submit", (bus) =>
    interruptible(async (signal) => {
      const submission = { id: newJobId(request.output), by: whoAmI() };
      const { id: job } = await traceSubmission(submission, (traceparent) =>
        new JobStore(bus).submit(request, { ...submission, traceparent }),
      );
      const submitted = { event: "submitted", job, output: request.output };
      const told = `${job} submitted, to become ${request.output}; follow it with: amalgam watch ${job}`;
      terminal.stdout.write(options.json ? `${JSON.stringify(submitted)}\n` : `${told}\n`);
      return options.detach ? 0 : await stay(bus, job, { ...options, signal, recipeFile }, terminal);
    }),
  );
}

/** What is wrong with the place is said before anything is sent. */
async function placeOf(output: string, staging: string | undefined): Promise<Pick<JobRequest, "output" | "staging">> {
  const { output: place, sink } = await openDestination(output, staging);
  if (sink === undefined) return { output: resolve(place) };
  if (staging !== undefined) return { output: sink.url, staging: resolve(staging) };
  const problem = "name a folder that all coordinators see, in which the work on it is staged, with --staging";
  throw new AmalgamError("usage", `Cannot submit for ${quote(sink.url)}: ${problem}`);
}

/** Until the job is over, or at least planned. */
async function stay(
  bus: Bus,
  id: string,
  options: Pick<SubmitOptions, "json" | "watch"> & { readonly signal: AbortSignal; readonly recipeFile: string },
  terminal: Terminal,
): Promise<number> {
  const { json, signal, recipeFile } = options;
  const record = await showJob(bus, id, { json, signal, isEnough: options.watch ? undefined : isOnItsWay }, terminal);
  if (!isOver(record.state)) return 0;
  // Complaints name the file as the author did.
  const reason = record.reason?.replaceAll(`${resolve(recipeFile)}:`, `${recipeFile}:`);
  return conclude(reason === undefined ? record : { ...record, reason }, options, terminal);
}

/** Planned, or waiting for somebody to plan it. */
function isOnItsWay(news: JobNews): boolean {
  if (news.type === "neglected") return true;
  return news.type === "changed" && !["queued", "planning"].includes(news.record.state);
}
