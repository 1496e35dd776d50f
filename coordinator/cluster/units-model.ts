import { deflateRawSync } from "node:zlib";
import { type Cell, maxCells, noAgent, packCells } from "../../shared/cluster/cells.js";
import type { UnitsRecord } from "../../shared/cluster/units-record.js";
import type { JobEvent } from "../job/types.js";
import { RateHistory, RateNow } from "./rates.js";
import { type AgentRate, type Attempt, cellOf, type Tried, untouched } from "./tried-unit.js";

type Dispatched = Extract<JobEvent, { type: "dispatch" }>["event"];
type UnitEvent = Extract<Dispatched, { unit: unknown }>;

const maxFailures = 32;
const maxReasonLength = 400;
const maxRunning = 64;

/** What is shown of a job's units, worked out from its events. */
export class UnitsModel {
  readonly #now: () => number;
  readonly #since: string;
  readonly #history: RateHistory;
  readonly #rate: RateNow;
  /** By name, in the order of their first unit. */
  readonly #agents = new Map<string, AgentRate>();
  readonly #failures: UnitsRecord["failures"] = [];
  #phase = "planning";
  #plan: UnitsRecord["plan"];
  #kept = { pieces: 0, bytes: 0 };
  #units: (Tried | undefined)[] = [];
  #unitsPerCell = 1;
  #cells: Cell[] = [];
  /** Cells that are not what they were when a record was last made. */
  readonly #changed = new Set<number>();
  readonly #running = new Set<Tried>();

  /** `now` in milliseconds, from any start. `since`: when the lead began, ISO 8601. */
  constructor(now: () => number, since: string = new Date().toISOString()) {
    this.#now = now;
    this.#since = since;
    this.#history = new RateHistory(now());
    this.#rate = new RateNow(now());
  }

  observe(event: JobEvent): void {
    if (event.type === "planned") {
      const { method, models, tensors, files } = event.plan;
      const bytes = files.reduce((total, file) => total + file.bytes, 0);
      this.#plan = { method, models: models.length, tensors: tensors.length, files: files.length, bytes };
      // What an earlier stage found done is none of this one's.
      this.#kept = { pieces: 0, bytes: 0 };
    } else if (event.type === "resumed") {
      this.#kept = { pieces: event.resumed.keptPieces, bytes: event.resumed.keptBytes };
    } else if (event.type === "gathering") this.#begin(`statistics, pass ${event.pass + 1}`, event.units);
    else if (event.type === "writing") this.#begin("merging", event.units);
    else if (event.type === "committing") this.#phase = "committing";
    else if (event.type === "dispatch" && "unit" in event.event) this.#observeUnit(event.event);
  }

  record(): UnitsRecord {
    const now = this.#now();
    this.#history.look(now);
    const unitsPerCell = this.#unitsPerCell;
    for (const cell of this.#changed) {
      const begin = cell * unitsPerCell;
      this.#cells[cell] = cellOf(this.#units, begin, Math.min(this.#units.length, begin + unitsPerCell));
    }
    this.#changed.clear();
    return {
      ...{ since: this.#since, phase: this.#phase, kept: this.#kept, units: this.#units.length, unitsPerCell },
      ...(this.#plan === undefined ? {} : { plan: this.#plan }),
      // The fastest level: four thousand bytes a second are nothing, and so is what a better one would save of them.
      cells: deflateRawSync(packCells(this.#cells), { level: 1 }).toString("base64"),
      agents: [...this.#agents.values()]
        .slice(0, noAgent)
        .map(({ name, running, rate }) => ({ name, running, bytesPerSecond: Math.round(rate.at(now)) })),
      bytesPerSecond: Math.round(this.#rate.at(now)),
      history: { seconds: this.#history.seconds, rates: this.#history.rates.map(Math.round) },
      running: this.#longestRunning(now),
      failures: [...this.#failures],
    };
  }

  #longestRunning(now: number): UnitsRecord["running"] {
    const attempts: UnitsRecord["running"] = [];
    // In the order in which they began to run.
    for (const tried of this.#running) {
      for (const [attempt, { agent, startedMs }] of tried.running) {
        attempts.push({
          unit: tried.unit,
          agent: agent.name,
          attempt,
          seconds: Math.round((now - startedMs) / 100) / 10,
        });
      }
      if (attempts.length >= maxRunning) break;
    }
    return attempts.slice(0, maxRunning);
  }

  #begin(phase: string, units: number): void {
    this.#phase = phase;
    // They name units of another phase.
    this.#failures.length = 0;
    this.#units = new Array<undefined>(units).fill(undefined);
    this.#unitsPerCell = Math.max(1, Math.ceil(units / maxCells));
    this.#cells = new Array<Cell>(Math.ceil(units / this.#unitsPerCell)).fill(untouched);
    this.#changed.clear();
    this.#running.clear();
    for (const agent of this.#agents.values()) agent.running = 0;
  }

  #observeUnit(event: UnitEvent): void {
    const agent = this.#agentOf(event.agent.name);
    const tried = this.#triedOf(event.unit.id, agent);
    const attempt = tried.running.get(event.epoch);
    const now = this.#now();
    if (event.type !== "progress") this.#changed.add(Math.floor(event.unit.id / this.#unitsPerCell));
    if (event.type === "started") {
      tried.running.set(event.epoch, { agent, startedMs: now, bytes: 0 });
      tried.agent = agent;
      tried.attempts = Math.max(tried.attempts, event.epoch);
      this.#running.add(tried);
      agent.running += 1;
      return;
    }
    if (event.type === "progress") {
      if (attempt !== undefined) this.#count(attempt, event.bytesRead + event.bytesWritten, now);
      return;
    }
    if (attempt !== undefined) {
      tried.running.delete(event.epoch);
      agent.running -= 1;
      if (tried.running.size === 0) this.#running.delete(tried);
    }
    if (event.type === "finished") {
      const bytes = event.unit.bytesRead + event.unit.bytesWritten;
      if (attempt !== undefined) this.#count(attempt, Math.max(bytes, attempt.bytes), now);
      Object.assign(tried, { agent, isDone: true, bytes, milliseconds: now - (attempt?.startedMs ?? now) });
    } else if (event.type === "failed" && event.error.code !== "agent_draining") {
      // An agent that shuts down has said nothing about the unit.
      tried.hasFailed = true;
      const { code, message } = event.error;
      const reason = message.slice(0, maxReasonLength);
      this.#failures.unshift({ unit: event.unit.id, agent: agent.name, attempt: event.epoch, code, reason });
      this.#failures.splice(maxFailures);
    }
  }

  #count(attempt: Attempt, bytes: number, now: number): void {
    const more = bytes - attempt.bytes;
    attempt.bytes = bytes;
    if (more <= 0) return;
    attempt.agent.rate.add(more);
    this.#rate.add(more);
    this.#history.add(more, now);
  }

  #agentOf(name: string): AgentRate {
    const known = this.#agents.get(name);
    if (known !== undefined) return known;
    const agent = { name, place: this.#agents.size, rate: new RateNow(this.#now()), running: 0 };
    this.#agents.set(name, agent);
    return agent;
  }

  #triedOf(unit: number, agent: AgentRate): Tried {
    const known = this.#units[unit];
    if (known !== undefined) return known;
    const tried: Tried = {
      ...{ unit, agent, attempts: 0, hasFailed: false, isDone: false, milliseconds: undefined, bytes: undefined },
      running: new Map(),
    };
    this.#units[unit] = tried;
    return tried;
  }
}
