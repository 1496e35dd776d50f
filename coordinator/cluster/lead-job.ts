import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import type { Security } from "../../shared/rpc/security.js";
import { NotHere } from "../assemble/not-here.js";
import type { DispatchEvent } from "../dispatch/dispatcher.js";
import type { JobAgent } from "../job/job-agents.js";
import { asNotHere } from "../job/plan-again.js";
import { ProgressModel } from "../job/progress-model.js";
import type { JobEvent } from "../job/types.js";
import { runRecipe } from "../job.js";
import { planInThread } from "../plan/planning-thread.js";
import { formatQuantity } from "../plan/report.js";
import type { Unit } from "../plan/types.js";
import { parseRecipes } from "../recipe/parse.js";
import { mirrorForLead } from "./mirror-for-lead.js";
import type { Lead, LeadJob } from "./service.js";

export interface LeadSettings {
  readonly security: Security;
  /** A folder that keeps the journals of finished jobs. */
  readonly keepJournals?: string | undefined;
  /** Threads that take in what agents stream, per job. */
  readonly assemblers: number;
}

/** How a coordinator of a cluster carries out a job: the main job, with the cluster's agents and the lease's authority. */
export function createLeadJob({ security, keepJournals, assemblers }: LeadSettings): LeadJob {
  const carryOut: LeadJob = async (lead) => {
    const { record, epoch, signal, registry } = lead;
    const { recipe, output, assembly, unitBytes, shardBytes, overwrite, maxWaitMs } = record.request;
    await lead.setState("planning");
    const report = new LeadReport(lead);
    const parsed = parseRecipes(recipe.text, recipe.file);
    const isBegun = record.digest !== undefined;
    if (isBegun) await assertSameFiles(output);
    const mirrors = await mirrorForLead(parsed, lead, { security }).catch((reason: unknown) => {
      // That agents did not come for too long is the same everywhere.
      throw isBegun && !AmalgamError.from(reason).retryable ? asNotHere(reason) : reason;
    });
    const result = await runRecipe(
      {
        recipe: mirrors.recipe,
        mirrors: mirrors.files,
        planner: planInThread(signal),
        output,
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
          onStorageSilent: () => lead.abandon(`the storage of ${quote(output)} has not answered for 30 seconds`),
          assertLeading: async () => lead.assertLeading(),
          keepJournal: keepJournals,
        },
        onEvent: (event) => report.observe(event),
      },
      performance.now(),
    );
    const { plan, committed, seconds, bytesRead, bytesWritten, retries } = result;
    const bytes = plan.files.reduce((total, file) => total + file.bytes, 0);
    const fields = { digest: plan.digest, bytes, bytesRead, bytesWritten, retries, seconds };
    const message = committed === undefined ? `${output} holds this merge already, complete` : `${output} is complete`;
    lead.event("info", committed === undefined ? "already complete" : "committed", message, fields);
    const tidyUp = async (): Promise<void> => {
      await mirrors.remove();
      await result.tidyUp();
    };
    return { digest: plan.digest, tidyUp };
  };
  return async (lead) => {
    try {
      return await carryOut(lead);
    } catch (reason) {
      if (!(reason instanceof NotHere) || lead.record.digest === undefined) throw reason;
      const message = `Coordinator ${quote(lead.record.leader ?? "?")} cannot lead it: ${reason.message}`;
      lead.event("warning", "given back", message);
      return { elsewhere: message };
    }
  };
}

/** Where the output's folder is not there, its file system is not mounted; nothing must be written in its place. */
async function assertSameFiles(output: string): Promise<void> {
  const folder = dirname(output);
  await stat(folder).catch((reason: unknown) => {
    throw new NotHere(`folder ${quote(folder)}, where the job began, is not there: mount it, or create it`, reason);
  });
}

/** Tells the cluster how a job goes. */
class LeadReport {
  readonly #lead: Lead;
  readonly #model = new ProgressModel(() => performance.now());
  /** Slots of the agents that have done something and are still there, by address. */
  readonly #agents = new Map<string, number>();

  constructor(lead: Lead) {
    this.#lead = lead;
  }

  observe(event: JobEvent): void {
    this.#model.observe(event);
    this.#tell(event);
    const { units, unitsDone, work, done, retries, bytesPerSecond, etaSeconds } = this.#model.progress;
    const slots = [...this.#agents.values()].reduce((total, count) => total + count, 0);
    this.#lead.progress({
      units,
      unitsDone,
      work,
      workDone: done,
      agents: this.#agents.size,
      slots,
      retries,
      bytesPerSecond,
      ...(etaSeconds === undefined ? {} : { etaSeconds }),
    });
  }

  #tell(event: JobEvent): void {
    const lead = this.#lead;
    switch (event.type) {
      case "planned":
        lead.event("info", "planned", `Planned: ${formatQuantity(event.plan.tensors.length, "tensor")}`, {
          digest: event.plan.digest,
        });
        for (const warning of event.plan.warnings) lead.event("warning", "plan warning", warning);
        // Last: whoever submitted it listens until the job runs.
        this.#set("running", event.isStage === true ? {} : { digest: event.plan.digest });
        return;
      case "stage":
        lead.event("info", "stage", `Merging "${event.name}" first: ${event.reason}`);
        return;
      case "unfit":
        lead.event("warning", "agent unfit", `Agent "${event.agent}" is not used: ${event.reason}`, {
          agent: event.agent,
        });
        return;
      case "resumed": {
        const { keptPieces, keptBytes, redonePieces, problem } = event.resumed;
        const redone = redonePieces === 0 ? "" : `, ${formatQuantity(redonePieces, "piece")} to be done again`;
        lead.event("info", "resumed", `Going on: ${formatQuantity(keptPieces, "piece")} done before${redone}`, {
          keptPieces,
          keptBytes,
          redonePieces,
        });
        if (problem !== undefined) lead.event("warning", "journal damaged", problem);
        return;
      }
      case "gathering":
        lead.event("info", "gathering", `Statistics pass ${event.pass + 1}: ${formatQuantity(event.units, "unit")}`);
        return;
      case "writing":
        lead.event("info", "writing", `Merging: ${formatQuantity(event.units, "unit")}`, { units: event.units });
        return;
      case "committing":
        this.#set("committing");
        lead.event("info", "committing", "Checking and publishing the output");
        return;
      case "dispatch":
        this.#dispatched(event.event);
        return;
      case "started":
        return;
    }
  }

  #dispatched(event: DispatchEvent<Unit, JobAgent>): void {
    const lead = this.#lead;
    switch (event.type) {
      case "waiting":
        this.#set("waiting", { reason: event.reason });
        lead.event("warning", "waiting", event.reason);
        return;
      case "resumed":
        this.#set("running");
        lead.event("info", "agents came", "Work goes on");
        return;
      case "agent": {
        const { agent, state } = event;
        if (state !== "ready") this.#agents.delete(agent.address);
        const level = state === "lost" ? "warning" : "info";
        const why = agent.lostBecause === undefined ? "" : `: ${agent.lostBecause.message}`;
        lead.event(level, `agent ${state}`, `Agent ${agent.label} is ${state}${why}`, { agent: agent.name });
        return;
      }
      case "progress":
        return;
      case "failed": {
        const { unit, agent, epoch, error, retryMs } = event;
        const fields = { unit: unit.id, agent: agent.name, attempt: epoch, code: error.code };
        const next = retryMs === undefined ? "" : `; again in ${retryMs} ms`;
        // An agent that shuts down has said nothing about the unit.
        const level = error.code === "agent_draining" ? "debug" : "warning";
        lead.event(level, "unit failed", `Unit ${unit.id} failed on ${agent.label}: ${error.message}${next}`, fields);
        return;
      }
      case "started":
      case "finished":
      case "superseded": {
        const { type, unit, agent, epoch } = event;
        const fields = { unit: unit.id, agent: agent.name, attempt: epoch };
        this.#agents.set(agent.address, agent.slots);
        lead.event("debug", `unit ${type}`, `Unit ${unit.id} ${type} on ${agent.label}`, fields);
        return;
      }
    }
  }

  /** A state that cannot be told now is told with the next. */
  #set(state: Parameters<Lead["setState"]>[0], fields?: Parameters<Lead["setState"]>[1]): void {
    this.#lead.setState(state, fields).catch((reason: unknown) => {
      this.#lead.event("debug", "state not told", AmalgamError.from(reason).message);
    });
  }
}
