import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { basename } from "node:path";
import type { ClusterEvent, JobRecord, JobState, ProgressRecord } from "../../shared/cluster/records.js";
import type { UnitsRecord } from "../../shared/cluster/units-record.js";
import { AmalgamError } from "../../shared/errors.js";
import { kernelsVersion, packageVersion } from "../../shared/rpc/version.js";
import { type Audience, LeadReport } from "../cluster/lead-report.js";
import type { JobEvent } from "../job/types.js";
import { Board, limits } from "./board.js";
import type { PageSource } from "./source.js";
import type { EventView, JobDetails, NodeView } from "./types.js";
import { eventView, jobDetails, jobView } from "./views.js";

/** Units are written anew at most so often. */
const pauseMs = 500;

export interface MergeFacts {
  readonly recipeFile: string;
  readonly output: string;
  /** Who runs it, for people. */
  readonly by: string;
}

/** One merge of this process, worked out from its events, as a page shows it. */
export class MergeSource implements PageSource {
  readonly board = new Board();
  readonly #file: string;
  readonly #report: LeadReport;
  readonly #events: EventView[] = [];
  #record: JobRecord;
  #progress: ProgressRecord | undefined;
  #toldMs = Number.NEGATIVE_INFINITY;
  #units: (() => UnitsRecord) | undefined;

  constructor({ recipeFile, output, by }: MergeFacts) {
    const now = new Date().toISOString();
    const recipe = { text: "", file: recipeFile };
    this.#file = recipeFile;
    this.#record = {
      ...{ id: basename(output), state: "planning", cancel: false, starts: 1, leader: hostname() },
      ...{ submittedBy: by, submittedAt: now },
      request: { recipe, output, assembly: "direct", shardBytes: 0, overwrite: false },
    };
    const [version, name] = [packageVersion(), hostname()];
    const nothing = { jobsLeftOut: 0, nodesLeftOut: 0, hasSweeps: false, canAct: false };
    this.board.set("server", "this", { ...nothing, name, version, isConnected: true });
    this.#show();
    const audience: Audience = {
      setState: async (state, fields = {}) => this.#move(state, fields),
      progress: (progress, units) => this.#tell(progress, units),
      event: (level, type, message, fields) => this.#hear({ level, type, message, ...(fields && { fields }) }),
    };
    this.#report = new LeadReport(audience);
  }

  observe(event: JobEvent): void {
    this.#report.observe(event);
    if (event.type === "dispatch" && "agent" in event.event) this.#showAgent(event.event.agent);
  }

  /** It is over: well, or with an error. */
  end(reason?: unknown): void {
    const endedAt = new Date().toISOString();
    this.#writeUnits();
    if (reason === undefined) {
      this.#move("done", { endedAt });
      return;
    }
    const { code, message } = AmalgamError.from(reason);
    this.#move(code === "canceled" ? "canceled" : "failed", { endedAt, code, reason: message });
  }

  async job(id: string): Promise<JobDetails | undefined> {
    if (id !== this.#record.id) return undefined;
    const text = await readFile(this.#file, "utf8").catch(() => "");
    const { request } = this.#record;
    const record = { ...this.#record, request: { ...request, recipe: { ...request.recipe, text } } };
    return jobDetails(record, this.#view, this.board.get("units", id), [...this.#events].reverse());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // It holds nothing that has to be given back.
  }

  get #view() {
    return jobView(this.#record, this.#progress, undefined);
  }

  #show(): void {
    this.board.set("jobs", this.#record.id, this.#view);
  }

  #move(state: JobState, fields: Partial<JobRecord>): void {
    const { reason: _, ...record } = this.#record;
    this.#record = { ...record, state, ...fields };
    this.#show();
  }

  #tell(progress: ProgressRecord, units: (() => UnitsRecord) | undefined): void {
    this.#progress = progress;
    this.#units = units;
    if (performance.now() - this.#toldMs < pauseMs) return;
    this.#toldMs = performance.now();
    this.#writeUnits();
    this.#show();
  }

  #writeUnits(): void {
    const units = this.#units?.();
    if (units === undefined) return;
    this.board.set("units", this.#record.id, units);
    for (const { name, running } of units.agents) {
      const node = this.board.get("nodes", name);
      if (node !== undefined) this.board.set("nodes", name, { ...node, running });
    }
  }

  #hear(event: Pick<ClusterEvent, "level" | "type" | "message" | "fields">): void {
    if (event.level === "debug") return;
    const number = (this.#events.at(-1)?.number ?? 0) + 1;
    const told = { ...event, at: new Date().toISOString(), node: hostname(), job: this.#record.id };
    const view = eventView(told, number);
    this.#events.push(view);
    this.board.set("events", String(number), view);
    if (this.#events.length <= limits.events) return;
    this.board.delete("events", String(this.#events.shift()?.number));
  }

  #showAgent(agent: Extract<Extract<JobEvent, { type: "dispatch" }>["event"], { unit: unknown }>["agent"]): void {
    const { name, slots, state, description } = agent;
    const before = this.board.get("nodes", name);
    const shown = stateOf(state);
    if (before?.state === shown) return;
    this.board.set("nodes", name, {
      ...{ name, role: "agent", host: hostname(), slots, state: shown, running: before?.running ?? 0 },
      ...{ version: description?.version ?? packageVersion(), kernels: kernelsVersion, devices: [] },
      memoryBytes: description?.memoryBytes ?? 0,
      startedAt: before?.startedAt ?? new Date().toISOString(),
    });
  }
}

function stateOf(state: string): NodeView["state"] {
  if (state === "ready" || state === "draining") return state;
  return state === "lost" ? "silent" : "unknown";
}
