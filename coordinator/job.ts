import { createHash } from "node:crypto";
import { AmalgamError } from "../shared/errors.js";
import { packageVersion } from "../shared/rpc/version.js";
import { type CommitResult, commit } from "./assemble/commit.js";
import { removeLeftovers } from "./assemble/leftovers.js";
import { openStaging } from "./assemble/open-staging.js";
import { inspectOutput } from "./assemble/output-directory.js";
import type { Staging } from "./assemble/staging.js";
import { assembleCrew } from "./job/crew.js";
import { MergeRun, Totals } from "./job/merge-run.js";
import { planAgain } from "./job/plan-again.js";
import type { JobEvent, JobResult, MergeJob, PlanRun, RecipeJob } from "./job/types.js";
import { methodOf } from "./plan/check-method.js";
import { planHere } from "./plan/planner.js";
import type { Plan } from "./plan/types.js";
import { readRecipe } from "./recipe/read.js";
import type { Delivery } from "./sinks/sink.js";
import { mergeOverMirrors } from "./sources/mirror-for-merge.js";
import { StoredDocuments } from "./stored-documents.js";

export type * from "./job/types.js";

/**
 * The main job: recipe → plan → units → agents → staged bytes → commit. Interrupted at any point, the same call again
 * finishes it, and redoes only what had no receipt.
 */
export async function runMerge(job: MergeJob): Promise<JobResult> {
  const started = performance.now();
  const read = await readRecipe(job.recipeFile);
  read.stages.forEach(methodOf);
  return mergeOverMirrors(read, job, async ({ recipe, files: mirrors, planner }) => {
    const { tidyUp, ...result } = await runRecipe({ ...job, recipe, mirrors, planner: planner(planHere) }, started);
    await tidyUp();
    return result;
  });
}

export interface RecipeResult extends JobResult {
  /**
   * Removes what the way to the output left beside it. For when it is on record that the job is done: whoever finds the
   * output complete before that looks for it.
   */
  readonly tidyUp: () => Promise<void>;
}

/** `started`: when the user asked for it, by `performance.now()`. */
export async function runRecipe(wanted: RecipeJob, started: number): Promise<RecipeResult> {
  const { recipe } = wanted;
  const job: RecipeJob = { ...wanted, made: { kind: "merge", shardBytes: wanted.shardBytes } };
  recipe.stages.forEach(methodOf);
  const store = async (plan: Plan, output: string): Promise<void> => {
    const cluster = job.cluster && { ...job.cluster, planned: undefined };
    const onEvent = (event: JobEvent): void =>
      job.onEvent?.(event.type === "planned" ? { ...event, isStage: true } : event);
    await runPlan(
      plan,
      recipe.text,
      { ...job, output, sink: undefined, cluster, overwrite: true, sign: undefined, onEvent },
      started,
    );
  };
  const { output, shardBytes, planner = planHere } = job;
  const documents = new StoredDocuments(output, { shardBytes }, planner, store, (name, reason) => {
    job.onEvent?.({ type: "stage", name, reason });
  });
  const planned = (): Promise<Plan> => planAgain(() => documents.plan(recipe), job.cluster?.planned);
  const tidyUp = (): Promise<void> => documents.remove();
  const isThere = async (plan: Plan): Promise<boolean> => (await inspectPlace(plan, job)).isComplete;
  const complete = await documents.planIfComplete(recipe, job.sink === undefined ? undefined : isThere);
  if (complete === undefined) {
    return { ...(await runPlan(await planned(), recipe.text, job, started)), tidyUp };
  }
  job.onEvent?.({ type: "planned", plan: complete });
  return { plan: complete, committed: undefined, ...new Totals(), seconds: secondsSince(started), tidyUp };
}

/** The main job from the plan on. `started`: when the user asked for it, by `performance.now()`. */
export async function runPlan(plan: Plan, recipeText: string, job: PlanRun, started: number): Promise<JobResult> {
  job.onEvent?.({ type: "planned", plan });
  const totals = new Totals();
  const { isComplete, directory } = await inspectPlace(plan, job);
  let committed: CommitResult | undefined;
  if (!isComplete) {
    const { overwrite, signal, cluster } = job;
    const staging = await openStaging(plan, directory, {
      version: packageVersion(),
      overwrite,
      signal,
      authority: cluster?.authority,
      isBegun: cluster?.planned !== undefined,
      onSilent: cluster?.onStorageSilent,
      keepJournal: cluster?.keepJournal,
    });
    // Undefined: another coordinator completed it between our two looks.
    if (staging !== "complete") committed = await finish(job, plan, staging, totals, recipeText);
  }
  return { plan, committed, ...totals, seconds: secondsSince(started) };
}

/** Whether there is nothing to do; `directory` is where the work is staged beside. */
async function inspectPlace(
  plan: Plan,
  { output, overwrite, sink, signal }: PlanRun,
): Promise<{ readonly isComplete: boolean; readonly directory: string }> {
  const { state, directory } = await inspectOutput(plan, output, { overwrite });
  if (sink === undefined) return { isComplete: state === "complete", directory };
  const isComplete = await sink.isComplete(plan, { overwrite, signal });
  if (isComplete) await removeLeftovers(plan, directory);
  return { isComplete, directory };
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1000;
}

/** Staged bytes that changed after their receipt are computed once more; a disk that keeps changing them is broken. */
const mergeAttempts = 2;

async function finish(
  job: PlanRun,
  plan: Plan,
  opened: Staging,
  totals: Totals,
  recipeText: string,
): Promise<CommitResult> {
  await using staging = opened;
  const { overwrite, signal } = job;
  await using delivery = await job.sink?.open(staging, { overwrite, signal });
  if (staging.resumed.keptPieces + staging.resumed.redonePieces > 0) {
    job.onEvent?.({ type: "resumed", resumed: staging.resumed });
  }
  try {
    return await mergeAndCommit(job, plan, { staging, delivery }, totals, recipeText);
  } catch (reason) {
    // What cannot be taken back now, gc takes back.
    if (isCanceledForGood(AmalgamError.from(reason))) await delivery?.abandon().catch(() => undefined);
    await delivery?.[Symbol.asyncDispose]();
    // Over, with nothing to go on from. Otherwise the next leader comes.
    if (staging.isEmpty && !goesOn(AmalgamError.from(reason))) await staging.discard();
    throw reason;
  }
}

async function mergeAndCommit(
  job: PlanRun,
  plan: Plan,
  { staging, delivery }: { readonly staging: Staging; readonly delivery: Delivery | undefined },
  totals: Totals,
  recipeText: string,
): Promise<CommitResult> {
  const { security, signal, mirrors, made, sign } = job;
  const leadership = { job: fencedName(plan, staging), fence: BigInt(staging.generation) };
  for (let attempt = 1; ; attempt += 1) {
    const isToBeRedone = (reason: unknown): boolean =>
      AmalgamError.from(reason).code === "chunk_corrupt" && attempt < mergeAttempts;
    const onUnfit = (agent: string, reason: string): void => job.onEvent?.({ type: "unfit", agent, reason });
    const crew = await assembleCrew(job.agents, { plan, staging, leadership, security, signal, mirrors, onUnfit });
    try {
      await new MergeRun({ job, plan, staging, agents: crew.agents, leadership, totals }).run();
    } catch (reason) {
      await crew[Symbol.asyncDispose]();
      if (isToBeRedone(reason)) continue;
      throw reason;
    }
    job.onEvent?.({ type: "committing" });
    // The agents shut down meanwhile.
    const dismissed = crew[Symbol.asyncDispose]();
    try {
      await job.cluster?.assertLeading();
      const onSent = (sent: number, bytes: number): void => job.onEvent?.({ type: "sending", sent, bytes });
      return await commit(staging, { recipeText, made, sign, signal, delivery, onSent });
    } catch (reason) {
      if (!isToBeRedone(reason)) throw reason;
    } finally {
      await dismissed;
    }
  }
}

/** A user ended the job, and not only this process: what was sent would cost money for nobody. */
function isCanceledForGood({ code, details }: AmalgamError): boolean {
  return code === "canceled" && details["by"] === "user";
}

/** Whether a lead ends and the job does not. A coordinator that shuts down cancels as well; see `Leading`. */
function goesOn({ code, details }: AmalgamError): boolean {
  return code === "fenced" || code === "bus_failed" || (code === "canceled" && details["by"] !== "user");
}

/** What agents know a job by. Whoever makes the same output at the same place is a leader of the same job. */
function fencedName(plan: Plan, { parts }: Staging): string {
  const place = createHash("sha256").update(parts.outputDirectory).digest("hex");
  return `${plan.digest.slice(0, 16)}-${place.slice(0, 16)}`;
}

/** Whether a failure leaves work behind that the same command goes on from. */
export function isResumable(error: AmalgamError): boolean {
  return error.retryable || error.code === "canceled" || error.code === "out_of_space";
}
