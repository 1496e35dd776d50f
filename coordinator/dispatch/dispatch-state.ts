import type { AmalgamError } from "../../shared/errors.js";
import { AgentPool, type PooledAgent } from "./agent-pool.js";
import type { Attempt, UnitRecord, Verdict } from "./attempts.js";
import { type FreeSoon, fasterSoon, fastestFirst, worthWaitingUntil } from "./last-units.js";
import { countsAsFailure, decideRetry, type RetryDecision, type RetryPolicy } from "./retry.js";
import { Speeds } from "./speeds.js";
import { moveUnit } from "./states.js";
import { Stragglers } from "./stragglers.js";
import { WaitingList } from "./waiting-list.js";

export interface DispatchStateOptions {
  /** @default "largest" */
  readonly order?: "largest" | "given" | undefined;
  /** Why an agent can never run a unit. It may change when an agent does. */
  readonly refuses?: ((unit: number, agent: string) => string | undefined) | undefined;
  /** Of a unit's bytes, those that would come over the network. */
  readonly remoteBytes?: ((unit: number, agent: string) => number) | undefined;
}

/** A unit that nobody runs and nobody will. */
export interface Blocked {
  readonly unit: number;
  /** By agent that takes work: why not this. Empty if there is none. */
  readonly refusals: readonly { readonly agent: string; readonly reason: string }[];
}

/** Of the units that wait, how many an agent chooses among. More would find better fits and make choosing slow. */
const lookAhead = 64;
/** Agents that rather start nothing than what a faster one will soon be free for, before no more of them are asked. */
const holdersAsked = 8;

/**
 * Who gets which unit next, and what a failure leads to. No clock and no I/O of its own: times are milliseconds that the
 * caller passes in, never decreasing. Retries and takeovers pass the same gate as first attempts: a free slot.
 *
 * While there is more work than free slots, slots are filled as they come. Near the end, where the last unit decides when
 * all is over, slow agents get work only if nobody fast is free, nor will be soon.
 */
export class DispatchState {
  readonly #units: UnitRecord[];
  readonly #policy: RetryPolicy;
  readonly #options: DispatchStateOptions;
  readonly #pool = new AgentPool();
  readonly #speeds = new Speeds();
  /** Never tried. */
  readonly #fresh: WaitingList;
  readonly #retries: UnitRecord[] = [];
  /** Those that have run for longest first. */
  readonly #running = new Set<UnitRecord>();
  readonly #stragglers: Stragglers;
  #attempts = 0;
  #remaining: number;
  /** When a unit that was held back for a faster agent has waited long enough. */
  #heldUntil = Infinity;

  /** `weights`: bytes moved by each unit, read and written. */
  constructor(weights: readonly number[], policy: RetryPolicy, options: DispatchStateOptions = {}) {
    this.#policy = policy;
    this.#options = options;
    this.#stragglers = new Stragglers(policy, this.#speeds, this.#running);
    this.#units = weights.map((weight, index) => waitingUnit(index, weight));
    const order =
      options.order === "given"
        ? this.#units
        : this.#units.toSorted((a, b) => b.weight - a.weight || a.index - b.index);
    this.#fresh = new WaitingList(order.map(({ index }) => index));
    this.#remaining = weights.length;
  }

  /** One more unit, behind all others that wait. Returns its index. */
  add(weight: number): number {
    const index = this.#units.length;
    this.#units.push(waitingUnit(index, weight));
    this.#fresh.append(index);
    this.#remaining += 1;
    this.#pool.rouse();
    return index;
  }

  /** Nobody wants the unit any more, or it has failed for good: it is over. Returns the attempts that still run. */
  abandon(index: number): readonly Attempt[] {
    const unit = this.#unit(index);
    const running = [...unit.running].map(([epoch, { agent }]): Attempt => ({ unit: index, agent, epoch }));
    for (const { agent } of running) this.#release(agent);
    unit.running.clear();
    this.#running.delete(unit);
    if (unit.state === "waiting" && unit.epoch === 0) this.#fresh.delete(index);
    const retry = this.#retries.indexOf(unit);
    if (retry >= 0) this.#retries.splice(retry, 1);
    if (unit.state !== "failed") unit.state = moveUnit(unit.state, "failed");
    this.#remaining -= 1;
    return running;
  }

  /** Units that are not done. */
  get remaining(): number {
    return this.#remaining;
  }

  /** Attempts that may still be accepted. */
  get running(): number {
    return this.#attempts;
  }

  /** An agent has come, or has changed. One that is not ready keeps what it runs. */
  setAgent(address: string, slots: number, isReady: boolean): void {
    this.#pool.set(address, slots, isReady);
  }

  /**
   * An agent is gone for good: every attempt it runs has failed with `error`, whatever it may still send. It says nothing
   * about the units. Another agent may come with its address, of which nothing is known but where units have failed.
   */
  loseAgent(address: string, error: AmalgamError, now: number): readonly { attempt: Attempt; verdict: Verdict }[] {
    const lost: Attempt[] = [];
    for (const unit of this.#running) {
      for (const [epoch, { agent }] of unit.running)
        if (agent === address) lost.push({ unit: unit.index, agent, epoch });
    }
    this.#pool.set(address, 0, false);
    const verdicts = lost.map((attempt) => ({ attempt, verdict: this.#fail(attempt, error, now, false) }));
    this.#pool.remove(address);
    this.#speeds.forget(address);
    return verdicts;
  }

  /** The next attempt to start, if there is one for a free slot. It counts as running from here on. */
  next(now: number): Attempt | undefined {
    this.#heldUntil = Infinity;
    if (this.#pool.freeSlots === 0) return undefined;
    // What failed once comes first: a unit that will fail the job should do so early.
    return this.#nextRetry(now) ?? this.#nextFresh(now) ?? this.#nextTakeover(now);
  }

  /** The attempt has brought its unit. Only the first one does; `superseded` are attempts that are no longer needed. */
  succeed(attempt: Attempt, now: number): { readonly accepted: boolean; readonly superseded: readonly Attempt[] } {
    const unit = this.#unit(attempt.unit);
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
    this.#speeds.record(attempt.agent, unit.weight, now - running.startedAt);
    return { accepted: true, superseded };
  }

  fail(attempt: Attempt, error: AmalgamError, now: number): Verdict {
    return this.#fail(attempt, error, now, countsAsFailure(error));
  }

  /** The attempt has failed with `error`, which says nothing about the unit. */
  giveBack(attempt: Attempt, error: AmalgamError, now: number): Verdict {
    return this.#fail(attempt, error, now, false);
  }

  /** When to ask {@link next} again although nothing has happened: a pause ends, or a unit becomes a straggler. */
  wakeAt(now: number): number | undefined {
    let at = this.#heldUntil === Infinity ? Infinity : Math.max(now + 1, this.#heldUntil);
    for (const unit of this.#retries) if (unit.notBefore > now) at = Math.min(at, unit.notBefore);
    if (this.#pool.freeSlots > 0) at = Math.min(at, this.#stragglers.nextAt(now));
    return at === Infinity ? undefined : at;
  }

  /** What is left cannot start, and neither time nor a running attempt will change that. Asked after {@link next}. */
  blocked(now: number): Blocked | undefined {
    if (this.#attempts > 0 || this.#retries.some(({ notBefore }) => notBefore > now)) return undefined;
    const unit = this.#fresh.first ?? this.#retries[0]?.index;
    if (unit === undefined) return undefined;
    const ready = [...this.#pool.all()].filter(({ isReady }) => isReady);
    const refusals = ready.flatMap(({ address }) => {
      const reason = this.#options.refuses?.(unit, address);
      return reason === undefined ? [] : [{ agent: address, reason }];
    });
    return { unit, refusals };
  }

  #nextRetry(now: number): Attempt | undefined {
    for (const [place, unit] of this.#retries.entries()) {
      const agent = unit.notBefore > now ? undefined : this.#agentFor(unit);
      if (agent === undefined) continue;
      this.#retries.splice(place, 1);
      return this.#start(unit, agent, now);
    }
    return undefined;
  }

  #nextFresh(now: number): Attempt | undefined {
    if (this.#fresh.size === 0) return undefined;
    let holding = 0;
    for (const agent of this.#free()) {
      if (agent.isResting) continue;
      const choice = this.#choose(agent, now);
      // What is too slow here is so on the next, which are no faster; only, they may be refused other units.
      if (choice === "held") {
        holding += 1;
        if (holding === holdersAsked) return undefined;
        continue;
      }
      if (choice === "refused") {
        this.#pool.rest(agent.address);
        continue;
      }
      this.#fresh.delete(choice.index);
      return this.#start(choice, agent, now);
    }
    return undefined;
  }

  /** A second attempt at the unit that has been late for longest. */
  #nextTakeover(now: number): Attempt | undefined {
    for (const unit of this.#stragglers.at(now)) {
      const agent = this.#agentFor(unit);
      if (agent !== undefined) return this.#start(unit, agent, now);
    }
    return undefined;
  }

  /** The unit that the agent has nearest, of equally near ones the first. */
  #choose(agent: PooledAgent, now: number): UnitRecord | "held" | "refused" {
    const { refuses, remoteBytes } = this.#options;
    const view = { pool: this.#pool, speeds: this.#speeds, now };
    const soon = this.#isNearEnd ? fasterSoon(agent, this.#running, view) : [];
    let [best, least]: [UnitRecord | undefined, number] = [undefined, Infinity];
    let [seen, held] = [0, 0];
    for (let next = this.#fresh.first; next !== undefined && seen < lookAhead; next = this.#fresh.after(next)) {
      if (refuses?.(next, agent.address) !== undefined) continue;
      seen += 1;
      const unit = this.#unit(next);
      // Each attempt that ends frees one slot, for one unit.
      if (this.#isHeld(unit, agent, soon[held])) {
        held += 1;
        continue;
      }
      const remoteShare = remoteBytes === undefined ? 0 : remoteBytes(next, agent.address) / Math.max(1, unit.weight);
      if (remoteShare < least) [best, least] = [unit, remoteShare];
      if (remoteShare === 0) break;
    }
    return best ?? (held > 0 ? "held" : "refused");
  }

  /** Whether it is better to keep the unit for the other agent. */
  #isHeld({ index, weight }: UnitRecord, agent: PooledAgent, other: FreeSoon | undefined): boolean {
    if (other === undefined || this.#options.refuses?.(index, other.agent) !== undefined) return false;
    const until = worthWaitingUntil(weight, (this.#speeds.costOf(agent.address) ?? 0) * weight, other);
    if (until === undefined) return false;
    this.#heldUntil = Math.min(this.#heldUntil, until);
    return true;
  }

  get #isNearEnd(): boolean {
    return this.#fresh.size + this.#retries.length <= this.#pool.freeSlots;
  }

  /** Agents with free slots, the best first. */
  #free(): Iterable<PooledAgent> {
    return this.#isNearEnd ? fastestFirst(this.#pool, this.#speeds) : this.#pool.free();
  }

  /** A free agent for a unit that was tried before: one where it has failed least often among those that take work. */
  #agentFor({ index, running, failures }: UnitRecord): PooledAgent | undefined {
    const isRunningOn = ({ address }: PooledAgent): boolean =>
      [...running.values()].some(({ agent }) => agent === address);
    const mayRun = (agent: PooledAgent): boolean =>
      agent.isReady && !isRunningOn(agent) && this.#options.refuses?.(index, agent.address) === undefined;
    const failuresOn = ({ address }: PooledAgent): number => failures.filter(({ agent }) => agent === address).length;
    let least = failures.length === 0 ? 0 : Infinity;
    if (failures.length > 0) {
      for (const agent of this.#pool.all()) {
        if (mayRun(agent)) least = Math.min(least, failuresOn(agent));
        if (least === 0) break;
      }
    }
    for (const agent of this.#free()) if (mayRun(agent) && failuresOn(agent) === least) return agent;
    return undefined;
  }

  #fail(attempt: Attempt, error: AmalgamError, now: number, counts: boolean): Verdict {
    const unit = this.#unit(attempt.unit);
    if (!unit.running.delete(attempt.epoch)) return { kind: "late" };
    this.#release(attempt.agent);
    if (counts) unit.failures.push({ agent: attempt.agent, error });
    const decision: RetryDecision =
      counts || !error.retryable
        ? decideRetry(this.#policy, error, unit.failures, this.#agentsFor(unit))
        : { kind: "retry", delayMs: 0 };
    if (decision.kind === "giveUp") {
      unit.state = moveUnit(unit.state, "failed");
      this.#running.delete(unit);
      return { kind: "fatal", failures: unit.failures, error };
    }
    unit.notBefore = now + decision.delayMs;
    if (unit.running.size > 0) {
      this.#stragglers.changed(unit);
      return { kind: "covered" };
    }
    unit.state = moveUnit(unit.state, "waiting");
    this.#running.delete(unit);
    this.#retries.push(unit);
    return decision;
  }

  #agentsFor({ index }: UnitRecord): number {
    let agents = 0;
    for (const { address } of this.#pool.all()) if (this.#options.refuses?.(index, address) === undefined) agents += 1;
    return agents;
  }

  #start(unit: UnitRecord, { address }: PooledAgent, now: number): Attempt {
    if (unit.state === "waiting") {
      unit.state = moveUnit(unit.state, "running");
      this.#running.add(unit);
    }
    unit.epoch += 1;
    unit.running.set(unit.epoch, { agent: address, startedAt: now });
    this.#stragglers.changed(unit);
    this.#pool.count(address, 1);
    this.#attempts += 1;
    return { unit: unit.index, agent: address, epoch: unit.epoch };
  }

  #release(address: string): void {
    this.#pool.count(address, -1);
    this.#attempts -= 1;
  }

  #unit(index: number): UnitRecord {
    const unit = this.#units[index];
    if (unit === undefined) throw new RangeError(`No unit ${index} among ${this.#units.length}`);
    return unit;
  }
}

function waitingUnit(index: number, weight: number): UnitRecord {
  return { index, weight, state: "waiting", epoch: 0, notBefore: 0, running: new Map(), failures: [] };
}
