import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { Reach } from "../../shared/remote/reach.js";
import type { Security } from "../../shared/rpc/security.js";
import { NotHere } from "../assemble/not-here.js";
import { efficiencyOf } from "../job/efficiency.js";
import { asNotHere } from "../job/plan-again.js";
import { runRecipe } from "../job.js";
import type { LeadObserver, LeadsObserver } from "../operate/job-observer.js";
import { planInThread } from "../plan/planning-thread.js";
import { parseRecipes } from "../recipe/parse.js";
import { openDestination } from "../sinks/destination.js";
import { hasStaged } from "../sources/mirror-for-job.js";
import { LeadReport } from "./lead-report.js";
import { mirrorForLead } from "./mirror-for-lead.js";
import type { Lead, LeadJob, LeadResult } from "./service.js";

export interface LeadSettings {
  readonly security: Security;
  /** A folder that keeps the journals of finished jobs. */
  readonly keepJournals?: string | undefined;
  /** Threads that take in what agents stream, per job. */
  readonly assemblers: number;
  /** Where addresses in jobs may lead. @default public servers */
  readonly reach?: Reach | undefined;
  /** Follows what is led: metrics, traces. */
  readonly observer?: LeadsObserver | undefined;
}

/** How a coordinator of a cluster carries out a job: the main job, with the cluster's agents and the lease's authority. */
export function createLeadJob({ security, keepJournals, assemblers, reach, observer }: LeadSettings): LeadJob {
  const carryOut = async (lead: Lead, observed: LeadObserver | undefined): Promise<LeadResult> => {
    const { record, epoch, signal, registry } = lead;
    const { recipe, output, staging, assembly, unitBytes, shardBytes, overwrite, maxWaitMs } = record.request;
    await lead.setState("planning");
    const report = new LeadReport(lead);
    const parsed = parseRecipes(recipe.text, recipe.file);
    const isBegun = record.digest !== undefined;
    const destination = await openDestination(output, staging);
    if (destination.sink !== undefined && staging === undefined) throw notStaged(output);
    if (isBegun) await assertSameFiles(destination.output);
    const mirrors = await mirrorForLead(parsed, lead, { security, reach }).catch((reason: unknown) => {
      // That agents did not come for too long is the same everywhere, and so is what servers have by now.
      const { retryable, code } = AmalgamError.from(reason);
      throw isBegun && !retryable && code !== "checkpoint_changed" ? asNotHere(reason) : reason;
    });
    const result = await runRecipe(
      {
        recipe: mirrors.recipe,
        mirrors: mirrors.files,
        planner: mirrors.planner(planInThread(signal)),
        ...destination,
        assembly,
        unitBytes,
        shardBytes,
        overwrite,
        security,
        assemblers,
        signal,
        agents: { kind: "cluster", registry, maxWaitMs: Math.max(1, maxWaitMs ?? Infinity) },
        cluster: {
          authority: { job: record.id, epoch },
          planned: record.digest,
          onStorageSilent: () => {
            const why = `the storage of ${quote(destination.output)} has not answered for 30 seconds`;
            lead.abandon(why);
            // It may never come to its end, and is not led here any more.
            observed?.end(new AmalgamError("fenced", why));
          },
          assertLeading: async () => lead.assertLeading(),
          keepJournal: keepJournals,
        },
        traceparentOf: (unit, epoch) => observed?.traceparentOf?.(unit, epoch),
        onEvent: (event) => {
          observed?.observe(event);
          report.observe(event);
        },
      },
      performance.now(),
    ).catch(async (reason: unknown) => {
      // A job that failed before there was work to go on from leaves nothing behind.
      if (AmalgamError.from(reason).exitCode === 2 && !(await hasStaged(destination.output))) await mirrors.remove();
      throw reason;
    });
    const { plan, committed, seconds, bytesRead, bytesWritten, retries } = result;
    const bytes = plan.files.reduce((total, file) => total + file.bytes, 0);
    const efficiency = efficiencyOf(result);
    const fields = {
      ...{ digest: plan.digest, bytes, bytesRead, bytesWritten, retries, seconds },
      ...(efficiency !== undefined && { efficiency }),
    };
    const message = committed === undefined ? `${output} holds this merge already, complete` : `${output} is complete`;
    lead.event("info", committed === undefined ? "already complete" : "committed", message, fields);
    const tidyUp = async (): Promise<void> => {
      await mirrors.remove();
      await result.tidyUp();
    };
    return { digest: plan.digest, tidyUp };
  };
  return async (lead) => {
    const observed = observer?.begin(lead.record);
    try {
      const result = await carryOut(lead, observed);
      observed?.end();
      return result;
    } catch (reason) {
      observed?.end(AmalgamError.from(reason));
      if (!(reason instanceof NotHere) || lead.record.digest === undefined) throw reason;
      const message = `Coordinator ${quote(lead.record.leader ?? "?")} cannot lead it: ${reason.message}`;
      lead.event("warning", "given back", message);
      return { elsewhere: message };
    }
  };
}

/** Nobody looks for work in the folder that a coordinator happens to run in. */
function notStaged(output: string): AmalgamError {
  return new AmalgamError("usage", `Cannot write to ${quote(output)}: the job names no folder to stage the work in`);
}

/** Where the output's folder is not there, its file system is not mounted; nothing must be written in its place. */
async function assertSameFiles(output: string): Promise<void> {
  const folder = dirname(output);
  await stat(folder).catch((reason: unknown) => {
    throw new NotHere(`folder ${quote(folder)}, where the job began, is not there: mount it, or create it`, reason);
  });
}
