import { join } from "node:path";
import { sleep, systemClock } from "../../shared/clock.js";
import { AmalgamError } from "../../shared/errors.js";
import type { Security } from "../../shared/rpc/security.js";
import type { DispatchEvent } from "../dispatch/dispatcher.js";
import type { JobAgent } from "../job/job-agents.js";
import { ProgressModel } from "../job/progress-model.js";
import type { JobEvent } from "../job/types.js";
import { runRecipe } from "../job.js";
import { planInThread } from "../plan/planning-thread.js";
import { formatQuantity } from "../plan/report.js";
import type { Unit } from "../plan/types.js";
import { Complaints } from "../recipe/complaints.js";
import { parseRecipes } from "../recipe/parse.js";
import type { RecipeFile } from "../recipe/recipe.js";
import { mirrorNodeModels } from "../sources/mirror.js";
import { nodeModelsOf } from "../sources/node-models.js";
import type { Registry } from "./registry.js";
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
  return async (lead) => {
    const { record, epoch, signal, registry } = lead;
    const { recipe, output, assembly, unitBytes, shardBytes, overwrite, maxWaitMs } = record.request;
    await lead.setState("planning");
    const report = new LeadReport(lead);
    const parsed = parseRecipes(recipe.text, recipe.file);
    const mirrors = await mirrorNodeModels(parsed, {
      agents: await findAgents(registry, parsed, signal),
      security,
      // Beside the output, with what else is removed when the job is done.
      directory: join(`${output}.amalgam-stages`, "nodes"),
      signal,
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
        agents: { kind: "cluster", registry, maxWaitMs: maxWaitMs ?? Infinity },
        cluster: {
          authority: { job: record.id, epoch },
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
    return { digest: plan.digest };
  };
}

/** How long a coordinator that has just come looks for agents that a recipe names. */
const findMs = 5_000;

/** The addresses of the agents there are, by name: soon, unless one that the recipe names is missing. */
async function findAgents(
  registry: Registry,
  recipe: RecipeFile,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const wanted = [...nodeModelsOf(recipe, new Complaints(recipe.file)).values()].map(({ value }) => value.agent);
  const giveUpAt = performance.now() + findMs;
  for (;;) {
    const agents = new Map<string, string>();
    for (const { record } of registry.list) {
      if (record.role === "agent" && record.address !== undefined) agents.set(record.name, record.address);
    }
    if (wanted.every((name) => agents.has(name)) || performance.now() >= giveUpAt || signal.aborted) return agents;
    await sleep(systemClock, 100, signal);
  }
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
        this.#set("running", { digest: event.plan.digest });
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
        lead.event(
          "warning",
          "unit failed",
          `Unit ${unit.id} failed on ${agent.label}: ${error.message}${next}`,
          fields,
        );
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
