import { AmalgamError } from "../../shared/errors.js";
import type { DispatchEvent } from "../dispatch/dispatcher.js";
import type { JobAgent } from "../job/job-agents.js";
import { ProgressModel } from "../job/progress-model.js";
import type { JobEvent } from "../job/types.js";
import { formatQuantity } from "../plan/report.js";
import type { Unit } from "../plan/types.js";
import type { Lead } from "./lead.js";
import { UnitsModel } from "./units-model.js";

/** Who is told how a job goes: the cluster, or a page of this process. */
export type Audience = Pick<Lead, "setState" | "progress" | "event">;

/** Tells how a job goes, worked out from its events. */
export class LeadReport {
  readonly #lead: Audience;
  readonly #model = new ProgressModel(() => performance.now());
  readonly #units = new UnitsModel(() => performance.now());
  /** Slots of the agents that have done something and are still there, by address. */
  readonly #agents = new Map<string, number>();

  constructor(lead: Audience) {
    this.#lead = lead;
  }

  observe(event: JobEvent): void {
    this.#model.observe(event);
    this.#units.observe(event);
    this.#tell(event);
    const { units, unitsDone, work, done, retries, bytesPerSecond, etaSeconds } = this.#model.progress;
    const slots = [...this.#agents.values()].reduce((total, count) => total + count, 0);
    const progress = {
      ...{ units, unitsDone, work, workDone: done },
      ...{ agents: this.#agents.size, slots, retries, bytesPerSecond },
      ...(etaSeconds === undefined ? {} : { etaSeconds }),
    };
    this.#lead.progress(progress, () => this.#units.record());
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
        lead.event("info", "gathering", `Statistics pass ${event.pass + 1}: ${formatQuantity(event.units, "unit")}`, {
          pass: event.pass,
          units: event.units,
        });
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
      case "sending":
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
