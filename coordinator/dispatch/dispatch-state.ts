import type { AmalgamError } from "../../shared/errors.js";
import { countsAsFailure, decideRetry, type RetryPolicy } from "./retry.js";
import { moveUnit, type UnitState } from "./states.js";

/** One try at one unit. Epochs count the tries at a unit, so no two attempts are equal. */
export interface Attempt {
  /** Index into the list of units. */
  readonly unit: number;
  /** The agent's address. */
  readonly agent: string;
  readonly epoch: number;
}

/** A try that failed, for the message if the unit is given up. */
export interface Failure {
  readonly agent: string;
  readonly error: AmalgamError;
}

export type Verdict =
  /** Another attempt counts, or a failure was already charged to this one: nothing changes. */
  | { readonly kind: "late" }
  /** The unit is still being run by another attempt. */
  | { readonly kind: "covered" }
  | { readonly kind: "retry"; readonly delayMs: number }
  | { readonly kind: "fatal"; readonly failures: readonly Failure[]; readonly error: AmalgamError };

interface UnitRecord {
  readonly index: number;
  readonly weight: number;
  state: UnitState;
  epoch: number;
  /** Milliseconds of the clock before which it is not tried again. */
  notBefore: number;
  /** The attempts that may still be accepted, by epoch. */
  readonly running: Map<number, { readonly agent: string; readonly startedAt: number }>;
  readonly failures: Failure[];
}

interface AgentRecord {
  readonly address: string;
  slots: number;
  running: number;
  /** Takes new attempts. */
  isReady: boolean;
}

/**
 * Who gets which unit next, and what a failure leads to. No clock and no I/O of its own: times are milliseconds that the
 * caller passes in, never decreasing. Retries and takeovers pass the same gate as first attempts: a free slot.
 */
export class DispatchState {
  readonly #units: readonly UnitRecord[];
  readonly #policy: RetryPolicy;
  readonly #agents = new Map<string, AgentRecord>();
  /** Never tried, in order; consumed from `#nextFresh` on. */
  readonly #fresh: readonly UnitRecord[];
  #nextFresh = 0;
  readonly #retries: UnitRecord[] = [];
  readonly #running = new Set<UnitRecord>();
  #remaining: number;
  /** Of accepted attempts: what is usual. */
  #finishedMs = 0;
  #finishedWeight = 0;

  /** `weights`: bytes moved by each unit, read and written. */
  constructor(weights: readonly number[], policy: RetryPolicy, order: "largest" | "given" = "largest") {
    this.#policy = policy;
    this.#units = weights.map((weight, index) => ({
      index,
      weight,
      state: "waiting",
      epoch: 0,
      notBefore: 0,
      running: new Map(),
      failures: [],
    }));
    this.#fresh =
      order === "given" ? this.#units : this.#units.toSorted((a, b) => b.weight - a.weight || a.index - b.index);
    this.#remaining = weights.length;
  }

  /** Units that are not done. */
  get remaining(): number {
    return this.#remaining;
  }

  /** Attempts that may still be accepted. */
  get running(): number {
    let running = 0;
    for (const unit of this.#running) running += unit.running.size;
    return running;
  }

  /** An agent has come, or has changed. One that is not ready keeps what it runs. */
  setAgent(address: string, slots: number, isReady: boolean): void {
    const known = this.#agents.get(address);
    if (known === undefined) this.#agents.set(address, { address, slots, running: 0, isReady });
    else Object.assign(known, { slots, isReady });
  }

  /** An agent is gone for good: every attempt it runs has failed with `error`, whatever it may still send. */
  loseAgent(address: string, error: AmalgamError, now: number): readonly { attempt: Attempt; verdict: Verdict }[] {
    const lost: Attempt[] = [];
    for (const unit of this.#running) {
      for (const [epoch, { agent }] of unit.running)
        if (agent === address) lost.push({ unit: unit.index, agent, epoch });
    }
    const agent = this.#agents.get(address);
    if (agent !== undefined) agent.isReady = false;
    return lost.map((attempt) => ({ attempt, verdict: this.fail(attempt, error, now) }));
  }

  /** The next attempt to start, if there is one for a free slot. It counts as running from here on. */
  next(now: number): Attempt | undefined {
    const free = [...this.#agents.values()].filter((agent) => agent.isReady && agent.running < agent.slots);
    free.sort((a, b) => a.running / a.slots - b.running / b.slots);
    for (const agent of free) {
      const unit = this.#take(agent, now);
      if (unit !== undefined) return this.#start(unit, agent, now);
    }
    return undefined;
  }

  /** The attempt has brought its unit. Only the first one does; `superseded` are attempts that are no longer needed. */
  succeed(attempt: Attempt, now: number): { readonly accepted: boolean; readonly superseded: readonly Attempt[] } {
    const unit = this.#unit(attempt);
    const running = unit.running.get(attempt.epoch);
    if (running === undefined) return { accepted: false, superseded: [] };
    const superseded: Attempt[] = [];
    for (const [epoch, { agent }] of unit.running) {
      this.#release(agent);
      if (epoch !== attempt.epoch) superseded.push({ unit: unit.index, agent, epoch });
    }
    unit.running.clear();
    unit.state = moveUnit(unit.state, "done");
    this.#running.delete(unit);
    this.#remaining -= 1;
    this.#finishedMs += now - running.startedAt;
    this.#finishedWeight += unit.weight;
    return { accepted: true, superseded };
  }

  fail(attempt: Attempt, error: AmalgamError, now: number): Verdict {
    const unit = this.#unit(attempt);
    if (!unit.running.delete(attempt.epoch)) return { kind: "late" };
    this.#release(attempt.agent);
    if (countsAsFailure(error)) unit.failures.push({ agent: attempt.agent, error });
    const decision = decideRetry(this.#policy, error, unit.failures.length);
    if (decision.kind === "giveUp") {
      unit.state = moveUnit(unit.state, "failed");
      this.#running.delete(unit);
      return { kind: "fatal", failures: unit.failures, error };
    }
    if (unit.running.size > 0) return { kind: "covered" };
    unit.state = moveUnit(unit.state, "waiting");
    unit.notBefore = now + decision.delayMs;
    this.#running.delete(unit);
    this.#retries.push(unit);
    return decision;
  }

  /** When to ask {@link next} again although nothing has happened: a pause ends, or a unit becomes a straggler. */
  wakeAt(now: number): number | undefined {
    let at = Infinity;
    for (const unit of this.#retries) if (unit.notBefore > now) at = Math.min(at, unit.notBefore);
    if (!this.#hasWaiting && this.#agents.size > 1) {
      for (const unit of this.#running) {
        const late = this.#lateAt(unit);
        if (late > now) at = Math.min(at, late);
      }
    }
    return at === Infinity ? undefined : at;
  }

  get #hasWaiting(): boolean {
    return this.#nextFresh < this.#fresh.length || this.#retries.length > 0;
  }

  #take(agent: AgentRecord, now: number): UnitRecord | undefined {
    // What failed once comes first: a unit that will fail the job should do so early.
    const place = this.#retries.findIndex((unit) => unit.notBefore <= now && this.#mayRun(unit, agent));
    if (place >= 0) return this.#retries.splice(place, 1)[0];
    const fresh = this.#fresh[this.#nextFresh];
    if (fresh !== undefined) {
      this.#nextFresh += 1;
      return fresh;
    }
    if (this.#hasWaiting) return undefined;
    return this.#straggler(agent, now);
  }

  /** Elsewhere, if there is an elsewhere: only where it has failed least often among the agents that take work. */
  #mayRun(unit: UnitRecord, agent: AgentRecord): boolean {
    if (unit.failures.length === 0) return true;
    const failuresOn = (address: string): number => unit.failures.filter((failure) => failure.agent === address).length;
    const here = failuresOn(agent.address);
    for (const other of this.#agents.values()) if (other.isReady && failuresOn(other.address) < here) return false;
    return true;
  }

  /** The unit that has been late for longest, if another agent than its own is there to run it as well. */
  #straggler(agent: AgentRecord, now: number): UnitRecord | undefined {
    let latest: UnitRecord | undefined;
    for (const unit of this.#running) {
      const late = this.#lateAt(unit);
      const runsHere = [...unit.running.values()].some((running) => running.agent === agent.address);
      if (late > now || runsHere || !this.#mayRun(unit, agent)) continue;
      if (latest === undefined || late < this.#lateAt(latest)) latest = unit;
    }
    return latest;
  }

  /** From when on a running unit is a straggler. Never, while nothing says what is usual or two attempts run. */
  #lateAt(unit: UnitRecord): number {
    const [only, ...others] = unit.running.values();
    if (only === undefined || others.length > 0 || this.#finishedWeight === 0) return Infinity;
    const usualMs = (this.#finishedMs / this.#finishedWeight) * unit.weight;
    return only.startedAt + Math.max(this.#policy.stragglerMs, this.#policy.stragglerFactor * usualMs);
  }

  #start(unit: UnitRecord, agent: AgentRecord, now: number): Attempt {
    if (unit.state === "waiting") unit.state = moveUnit(unit.state, "running");
    unit.epoch += 1;
    unit.running.set(unit.epoch, { agent: agent.address, startedAt: now });
    agent.running += 1;
    this.#running.add(unit);
    return { unit: unit.index, agent: agent.address, epoch: unit.epoch };
  }

  #release(address: string): void {
    const agent = this.#agents.get(address);
    if (agent !== undefined) agent.running -= 1;
  }

  #unit({ unit: index }: Attempt): UnitRecord {
    const unit = this.#units[index];
    if (unit === undefined) throw new RangeError(`No unit ${index} among ${this.#units.length}`);
    return unit;
  }
}
