import { type Clock, keepAlive, systemClock, type Timer } from "../../shared/clock.js";
import { AmalgamError } from "../../shared/errors.js";
import type { Unit } from "../plan/types.js";
import type { Agent } from "./agents.js";
import type { Attempt, Verdict } from "./attempts.js";
import { type Blocked, DispatchState } from "./dispatch-state.js";
import type { AgentSet, DispatchAgent, Dispatchable, Placement } from "./dispatchable.js";
import { failedTooOften, nameOf, noAgentLeft, refusedByAll, summary, waitedTooLong } from "./give-up.js";
import { defaultRetryPolicy, type RetryPolicy } from "./retry.js";
import type { AgentState } from "./states.js";

/** What a unit is run with. `signal` is aborted when the attempt is no longer wanted. */
export interface AttemptContext<Work extends Dispatchable = Unit, A extends DispatchAgent = Agent> {
  readonly unit: Work;
  readonly agent: A;
  /** 1 for the first attempt at the unit, and larger for every later one. */
  readonly epoch: number;
  readonly signal: AbortSignal;
  /** All that the attempt has done so far. */
  readonly onProgress: (bytesRead: number, bytesWritten: number) => void;
}

export type DispatchEvent<Work extends Dispatchable = Unit, A extends DispatchAgent = Agent> =
  | ({ readonly type: "started" } & AttemptName<Work, A>)
  /** Totals of the attempt. They are void if it does not finish. */
  | ({ readonly type: "progress"; readonly bytesRead: number; readonly bytesWritten: number } & AttemptName<Work, A>)
  | ({ readonly type: "finished" } & AttemptName<Work, A>)
  /** `retryMs`: when it is tried again; undefined if it is not, or runs elsewhere already. */
  | ({ readonly type: "failed"; readonly error: AmalgamError; readonly retryMs: number | undefined } & AttemptName<
      Work,
      A
    >)
  /** Another attempt at the same unit was faster. */
  | ({ readonly type: "superseded" } & AttemptName<Work, A>)
  | { readonly type: "agent"; readonly agent: A; readonly state: AgentState }
  /** Nothing runs, and nothing can before other agents come. */
  | { readonly type: "waiting"; readonly reason: string }
  /** After `waiting`: work starts again. */
  | { readonly type: "resumed" };

interface AttemptName<Work, A> {
  readonly unit: Work;
  readonly agent: A;
  readonly epoch: number;
}

export interface DispatchOptions<Work extends Dispatchable, Result, A extends DispatchAgent> {
  readonly agents: AgentSet<A>;
  /** Runs one unit on one agent. It settles soon after its signal is aborted. */
  readonly run: (attempt: AttemptContext<Work, A>) => Promise<Result>;
  /** The output tensors of a unit, for messages. */
  readonly tensorsOf?: (unit: Work) => readonly string[];
  readonly onEvent?: (event: DispatchEvent<Work, A>) => void;
  readonly signal?: AbortSignal | undefined;
  readonly retry?: Partial<RetryPolicy>;
  /** `largest`: the largest first, so that no large one is left for the end. @default "largest" */
  readonly order?: "largest" | "given";
  /** Default: any unit on any agent. */
  readonly placement?: Placement<Work, A>;
  /**
   * How long to wait while no agent can run what is left. @default 0, which waits for agents that are being connected to
   * and for nobody else
   */
  readonly waitForAgentsMs?: number;
  readonly clock?: Clock;
}

/** Results that wait to be read. Beyond it no new attempts start, so a slow reader bounds what piles up. */
const maxUnread = 64;
/** Attempts that start in one go. A thousand agents with free slots take seconds, in which leases and beats must go on. */
const startsAtOnce = 64;
/** A timer cannot be set for longer than 25 days. */
const maxPauseMs = 2 ** 30;

/**
 * Runs every unit once, on whichever agent is free, the largest first, and yields results as they come. Each unit
 * yields exactly one result however many attempts it took.
 *
 * Fails with the error of a unit that no other attempt can help, with the last error of a unit that failed too often,
 * with `agent_lost` when no agent is left, with `usage` when no agent can run a unit, with `fenced` as soon as an agent
 * has heard of a later leader, or with the signal's reason. However it ends, all attempts have settled by then; leaving
 * the loop early ends it too.
 */
export async function* dispatch<Work extends Dispatchable, Result, A extends DispatchAgent>(
  units: readonly Work[],
  options: DispatchOptions<Work, Result, A>,
): AsyncGenerator<Result, void, void> {
  using _ = keepAlive();
  const dispatcher = new Dispatcher(units, options);
  try {
    yield* dispatcher.results();
  } finally {
    await dispatcher.stop();
  }
}

interface Running<A> {
  readonly agent: A;
  readonly controller: AbortController;
  /** The agent has shown a sign of life. */
  isTaken: boolean;
}

/** Takes what becomes of each unit by itself. */
export interface EachUnit<Result> {
  succeeded(unit: number, result: Result): void;
  /** No other attempt helps, or no agent can run it. */
  failed(unit: number, error: AmalgamError): void;
  /** Nothing runs any more, whatever is left. */
  ended(error: AmalgamError): void;
}

/** What is behind {@link dispatch} and `OpenDispatch`. */
export class Dispatcher<Work extends Dispatchable, Result, A extends DispatchAgent> {
  readonly #units: Work[];
  readonly #each: EachUnit<Result> | undefined;
  readonly #options: DispatchOptions<Work, Result, A>;
  readonly #clock: Clock;
  readonly #state: DispatchState;
  /** By address, the last one that appeared there. */
  readonly #agents = new Map<string, A>();
  readonly #results: Result[] = [];
  /** By attempt, until they settle. */
  readonly #attempts = new Map<string, Running<A>>();
  readonly #settled = new Set<Promise<void>>();
  readonly #unsubscribe: () => void;
  #failure: AmalgamError | undefined;
  #wake: (() => void) | undefined;
  #timer: Timer | undefined;
  /** Since when nothing can run. */
  #waitingSince: number | undefined;

  /** With `each`, a unit that fails is its own affair, and there are no results to read here. */
  constructor(units: readonly Work[], options: DispatchOptions<Work, Result, A>, each?: EachUnit<Result>) {
    this.#units = [...units];
    this.#each = each;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const weights = units.map((unit) => unit.bytesRead + unit.bytesWritten);
    const { order, placement } = options;
    this.#state = new DispatchState(
      weights,
      { ...defaultRetryPolicy, ...options.retry },
      {
        order,
        refuses: placement?.refuses && ((unit, agent) => placement.refuses?.(this.#unit(unit), this.#agent(agent))),
        remoteBytes:
          placement?.remoteBytes &&
          ((unit, agent) => placement.remoteBytes?.(this.#unit(unit), this.#agent(agent)) ?? 0),
      },
    );
    for (const agent of options.agents.list) this.#take(agent);
    this.#unsubscribe = options.agents.onChange((agent) => this.#agentChanged(agent));
    options.signal?.addEventListener("abort", this.#abort, { once: true });
    if (options.signal?.aborted) this.#abort();
  }

  async *results(): AsyncGenerator<Result, void, void> {
    for (;;) {
      this.#pump();
      // What was accepted before a failure is still worth keeping.
      const result = this.#results.shift();
      if (result !== undefined) yield result;
      else if (this.#failure !== undefined) throw this.#failure;
      else if (this.#state.remaining === 0) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  /** One more unit, which starts after {@link go}. Returns its number. */
  add(unit: Work): number {
    this.#units.push(unit);
    return this.#state.add(unit.bytesRead + unit.bytesWritten);
  }

  go(): void {
    this.#pump();
  }

  /** Ends a unit that is not over. */
  giveUp(index: number, error: AmalgamError): void {
    for (const attempt of this.#state.abandon(index)) this.#attempts.get(keyOf(attempt))?.controller.abort(error);
    // Nobody waits any more; who comes next waits from then on.
    if (this.#state.remaining === 0) this.#waitingSince = undefined;
    this.#each?.failed(index, error);
  }

  /** Cancels what still runs and waits for it. */
  async stop(): Promise<void> {
    this.#failure ??= new AmalgamError("canceled", "The job has ended");
    this.#unsubscribe();
    this.#options.signal?.removeEventListener("abort", this.#abort);
    this.#timer?.clear();
    for (const { controller } of this.#attempts.values()) controller.abort(this.#failure);
    while (this.#settled.size > 0) await Promise.allSettled(this.#settled);
  }

  readonly #abort = (): void => this.#fail(AmalgamError.from(this.#options.signal?.reason));

  #fail(error: AmalgamError): void {
    if (this.#failure === undefined) this.#each?.ended(error);
    this.#failure ??= error;
    this.#notify();
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Starts whatever can be started. */
  #pump(): void {
    this.#timer?.clear();
    for (let started = 0; this.#failure === undefined && this.#results.length < maxUnread; started += 1) {
      if (started === startsAtOnce) {
        this.#timer = this.#clock.after(0, () => this.#pump());
        return;
      }
      const attempt = this.#state.next(this.#clock.now());
      if (attempt === undefined) break;
      this.#start(attempt);
    }
    if (this.#failure !== undefined || this.#state.remaining === 0 || this.#results.length >= maxUnread) return;
    const now = this.#clock.now();
    const blocked = this.#state.blocked(now);
    const wakeAt = (blocked === undefined ? undefined : this.#wait(blocked, now)) ?? this.#state.wakeAt(now);
    if (wakeAt === undefined || this.#failure !== undefined) return;
    const pauseMs = Math.min(maxPauseMs, Math.max(1, Math.ceil(wakeAt - now)));
    this.#timer = this.#clock.after(pauseMs, () => this.#pump());
  }

  /** Waits for agents, and fails when there is nobody to wait for or it has taken too long. Returns when to look again. */
  #wait({ unit, refusals }: Blocked, now: number): number | undefined {
    const { waitForAgentsMs = 0, agents } = this.#options;
    const reasons = refusals.map(({ agent, reason }) => `${this.#agent(agent).label}: ${reason}`);
    // Where units stand for themselves, one that is refused is no reason to end the others.
    const giveUpUnit = (): number => {
      this.giveUp(unit, refusedByAll(this.#what(unit), reasons));
      return now;
    };
    const isOwnAffair = reasons.length > 0 && this.#each !== undefined;
    if (waitForAgentsMs === 0) {
      if (agents.list.some(({ state }) => state === "connecting")) return undefined;
      const { remaining } = this.#state;
      if (isOwnAffair) return giveUpUnit();
      this.#fail(reasons.length > 0 ? refusedByAll(this.#what(unit), reasons) : noAgentLeft(agents.list, remaining));
      return undefined;
    }
    const reason =
      reasons.length > 0 ? `${this.#what(unit)} can run on no agent: ${summary(reasons)}` : "no agent is ready";
    if (this.#waitingSince === undefined) {
      this.#waitingSince = now;
      this.#emit({ type: "waiting", reason });
    }
    const giveUpAt = this.#waitingSince + waitForAgentsMs;
    if (now >= giveUpAt && isOwnAffair) return giveUpUnit();
    if (now >= giveUpAt) this.#fail(waitedTooLong(now - this.#waitingSince, this.#state.remaining, reason));
    return giveUpAt === Infinity ? undefined : giveUpAt;
  }

  #start(attempt: Attempt): void {
    if (this.#waitingSince !== undefined) this.#emit({ type: "resumed" });
    this.#waitingSince = undefined;
    const name = { unit: this.#unit(attempt.unit), agent: this.#agent(attempt.agent), epoch: attempt.epoch };
    const controller = new AbortController();
    const key = keyOf(attempt);
    const running: Running<A> = { agent: name.agent, controller, isTaken: false };
    this.#attempts.set(key, running);
    this.#emit({ type: "started", ...name });
    const onProgress = (bytesRead: number, bytesWritten: number): void => {
      running.isTaken = true;
      this.#emit({ type: "progress", ...name, bytesRead, bytesWritten });
    };
    const settled = this.#options
      .run({ ...name, signal: controller.signal, onProgress })
      .then(
        (result) => this.#succeeded(attempt, result),
        (reason: unknown) => this.#failed(attempt, running, AmalgamError.from(reason)),
      )
      .finally(() => {
        this.#attempts.delete(key);
        this.#settled.delete(settled);
        this.#pump();
        this.#notify();
      });
    this.#settled.add(settled);
  }

  #succeeded(attempt: Attempt, result: Result): void {
    const { accepted, superseded } = this.#state.succeed(attempt, this.#clock.now());
    if (!accepted) return;
    if (this.#each === undefined) this.#results.push(result);
    else this.#each.succeeded(attempt.unit, result);
    this.#emit({ type: "finished", ...this.#name(attempt) });
    for (const other of superseded) {
      this.#emit({ type: "superseded", ...this.#name(other) });
      this.#attempts.get(keyOf(other))?.controller.abort(new AmalgamError("canceled", "Another attempt was faster"));
    }
  }

  #failed(attempt: Attempt, running: Running<A>, error: AmalgamError): void {
    if (this.#failure !== undefined) return;
    const { agent } = running;
    // Whichever attempt it was: nothing that this leader does counts any more.
    if (error.code === "fenced") {
      this.#fail(error);
      return;
    }
    if (error.code === "agent_lost" && agent.state === "draining") {
      this.#hasLeft(attempt, running, error);
      return;
    }
    this.#judge(attempt, error, this.#state.fail(attempt, error, this.#clock.now()));
    // Before anything is started, so that an agent that is in trouble is not given the unit again.
    agent.report(error);
  }

  /**
   * One that was leaving has left, which says nothing about the unit, nor about its other ones: their results may be on
   * their way, over other connections. A unit that it never took, since a call takes its time, it has as good as refused.
   */
  #hasLeft(attempt: Attempt, { agent, isTaken }: Running<A>, error: AmalgamError): void {
    const { id } = this.#unit(attempt.unit);
    const message = `Agent ${agent.label} had shut down before unit ${id} reached it`;
    const reason = isTaken ? error : new AmalgamError("agent_draining", message, { cause: error });
    this.#judge(attempt, reason, this.#state.giveBack(attempt, reason, this.#clock.now()));
    const key = keyOf(attempt);
    for (const [other, running] of this.#attempts) if (other !== key && running.agent === agent) return;
    agent.report(error);
  }

  #judge(attempt: Attempt, error: AmalgamError, verdict: Verdict): void {
    if (verdict.kind === "late") return;
    const retryMs = verdict.kind === "retry" ? verdict.delayMs : undefined;
    this.#emit({ type: "failed", ...this.#name(attempt), error, retryMs });
    if (verdict.kind !== "fatal") return;
    const { id } = this.#unit(attempt.unit);
    const labelOf = (agent: string): string => this.#agents.get(agent)?.label ?? agent;
    const { failures } = verdict;
    const last = error.retryable ? failedTooOften(this.#what(attempt.unit), id, failures, error, labelOf) : error;
    if (this.#each === undefined) this.#fail(last);
    else this.giveUp(attempt.unit, last);
  }

  #agentChanged(agent: A): void {
    if (this.#failure !== undefined) return;
    const known = this.#agents.get(agent.address);
    if (known !== undefined && known !== agent) {
      // The one that another has taken the place of.
      if (agent.state === "lost") return;
      this.#lose(known);
    }
    this.#emit({ type: "agent", agent, state: agent.state });
    this.#take(agent);
    this.#pump();
  }

  #take(agent: A): void {
    this.#agents.set(agent.address, agent);
    if (agent.state === "lost") this.#lose(agent);
    else this.#state.setAgent(agent.address, agent.slots, agent.state === "ready");
  }

  #lose({ address, label, lostBecause }: A): void {
    if (lostBecause?.code === "fenced") this.#fail(lostBecause);
    const error = new AmalgamError("agent_lost", `Agent ${label} is lost`, { cause: lostBecause });
    for (const { attempt, verdict } of this.#state.loseAgent(address, error, this.#clock.now())) {
      this.#judge(attempt, error, verdict);
      this.#attempts.get(keyOf(attempt))?.controller.abort(error);
    }
  }

  #what(index: number): string {
    const unit = this.#unit(index);
    return nameOf(unit.id, this.#options.tensorsOf?.(unit) ?? []);
  }

  #name(attempt: Attempt): AttemptName<Work, A> {
    const agent = this.#attempts.get(keyOf(attempt))?.agent ?? this.#agent(attempt.agent);
    return { unit: this.#unit(attempt.unit), agent, epoch: attempt.epoch };
  }

  #unit(index: number): Work {
    const unit = this.#units[index];
    if (unit === undefined) throw new RangeError(`No unit ${index} among ${this.#units.length}`);
    return unit;
  }

  #agent(address: string): A {
    const agent = this.#agents.get(address);
    if (agent === undefined) throw new RangeError(`No agent at ${address}`);
    return agent;
  }

  #emit(event: DispatchEvent<Work, A>): void {
    try {
      this.#options.onEvent?.(event);
    } catch (error) {
      this.#fail(AmalgamError.from(error));
    }
  }
}

function keyOf({ unit, epoch }: Attempt): string {
  return `${unit}/${epoch}`;
}
