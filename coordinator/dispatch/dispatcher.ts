import { AmalgamError } from "../../shared/errors.js";
import { quoteList } from "../../shared/quote.js";
import type { Unit } from "../plan/types.js";
import type { Agent, Agents } from "./agents.js";
import { type Attempt, DispatchState, type Failure, type Verdict } from "./dispatch-state.js";
import { defaultRetryPolicy, type RetryPolicy } from "./retry.js";
import type { AgentState } from "./states.js";

/** What a unit is run with. `signal` is aborted when the attempt is no longer wanted. */
export interface AttemptContext {
  readonly unit: Unit;
  readonly agent: Agent;
  /** 1 for the first attempt at the unit, and larger for every later one. */
  readonly epoch: number;
  readonly signal: AbortSignal;
  /** All that the attempt has done so far. */
  readonly onProgress: (bytesRead: number, bytesWritten: number) => void;
}

export type DispatchEvent =
  | ({ readonly type: "started" } & AttemptName)
  /** Totals of the attempt. They are void if it does not finish. */
  | ({ readonly type: "progress"; readonly bytesRead: number; readonly bytesWritten: number } & AttemptName)
  | ({ readonly type: "finished" } & AttemptName)
  /** `retryMs`: when it is tried again; undefined if it is not, or runs elsewhere already. */
  | ({ readonly type: "failed"; readonly error: AmalgamError; readonly retryMs: number | undefined } & AttemptName)
  /** Another attempt at the same unit was faster. */
  | ({ readonly type: "superseded" } & AttemptName)
  | { readonly type: "agent"; readonly agent: Agent; readonly state: AgentState };

interface AttemptName {
  readonly unit: Unit;
  readonly agent: Agent;
  readonly epoch: number;
}

export interface DispatchOptions<Result> {
  readonly agents: Pick<Agents, "list" | "onChange">;
  /** Runs one unit on one agent. It settles soon after its signal is aborted. */
  readonly run: (attempt: AttemptContext) => Promise<Result>;
  /** The output tensors of a unit, for messages. */
  readonly tensorsOf?: (unit: Unit) => readonly string[];
  readonly onEvent?: (event: DispatchEvent) => void;
  readonly signal?: AbortSignal | undefined;
  readonly retry?: Partial<RetryPolicy>;
  /** `largest`: the largest first, so that no large one is left for the end. @default "largest" */
  readonly order?: "largest" | "given";
}

/** Results that wait to be read. Beyond it no new attempts start, so a slow reader bounds what piles up. */
const maxUnread = 64;

/**
 * Runs every unit once, on whichever agent is free, the largest first, and yields results as they come. Each unit
 * yields exactly one result however many attempts it took.
 *
 * Fails with the error of a unit that no other attempt can help, with the last error of a unit that failed too often,
 * with `agent_lost` when no agent is left, or with the signal's reason. However it ends, all attempts have settled by
 * then; leaving the loop early ends it too.
 */
export async function* dispatch<Result>(
  units: readonly Unit[],
  options: DispatchOptions<Result>,
): AsyncGenerator<Result, void, void> {
  const dispatcher = new Dispatcher(units, options);
  try {
    yield* dispatcher.results();
  } finally {
    await dispatcher.stop();
  }
}

class Dispatcher<Result> {
  readonly #units: readonly Unit[];
  readonly #options: DispatchOptions<Result>;
  readonly #state: DispatchState;
  readonly #results: Result[] = [];
  /** By attempt, until they settle: how to stop them. */
  readonly #attempts = new Map<string, AbortController>();
  readonly #settled = new Set<Promise<void>>();
  readonly #unsubscribe: () => void;
  #failure: AmalgamError | undefined;
  #wake: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(units: readonly Unit[], options: DispatchOptions<Result>) {
    this.#units = units;
    this.#options = options;
    const weights = units.map((unit) => unit.bytesRead + unit.bytesWritten);
    this.#state = new DispatchState(weights, { ...defaultRetryPolicy, ...options.retry }, options.order);
    for (const agent of options.agents.list) this.#state.setAgent(agent.address, agent.slots, agent.state === "ready");
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

  /** Cancels what still runs and waits for it. */
  async stop(): Promise<void> {
    this.#failure ??= new AmalgamError("canceled", "The job has ended");
    this.#unsubscribe();
    this.#options.signal?.removeEventListener("abort", this.#abort);
    clearTimeout(this.#timer);
    for (const controller of this.#attempts.values()) controller.abort(this.#failure);
    while (this.#settled.size > 0) await Promise.allSettled(this.#settled);
  }

  readonly #abort = (): void => this.#fail(AmalgamError.from(this.#options.signal?.reason));

  #fail(error: AmalgamError): void {
    this.#failure ??= error;
    this.#notify();
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Starts whatever can be started. */
  #pump(): void {
    clearTimeout(this.#timer);
    while (this.#failure === undefined && this.#results.length < maxUnread) {
      const attempt = this.#state.next(performance.now());
      if (attempt === undefined) break;
      this.#start(attempt);
    }
    if (this.#failure !== undefined || this.#state.remaining === 0) return;
    const hope = this.#options.agents.list.some(({ state }) => state === "ready" || state === "connecting");
    if (!hope && this.#state.running === 0 && this.#results.length === 0) {
      this.#fail(noAgentLeft(this.#options.agents.list, this.#state.remaining));
      return;
    }
    const wakeAt = this.#state.wakeAt(performance.now());
    if (wakeAt !== undefined) {
      this.#timer = setTimeout(() => this.#pump(), Math.max(1, Math.ceil(wakeAt - performance.now())));
    }
  }

  #start(attempt: Attempt): void {
    const name = this.#name(attempt);
    const controller = new AbortController();
    const key = keyOf(attempt);
    this.#attempts.set(key, controller);
    this.#emit({ type: "started", ...name });
    const onProgress = (bytesRead: number, bytesWritten: number): void => {
      this.#emit({ type: "progress", ...name, bytesRead, bytesWritten });
    };
    const settled = this.#options
      .run({ ...name, signal: controller.signal, onProgress })
      .then(
        (result) => this.#succeeded(attempt, result),
        (reason: unknown) => this.#failed(attempt, AmalgamError.from(reason)),
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
    const { accepted, superseded } = this.#state.succeed(attempt, performance.now());
    if (!accepted) return;
    this.#results.push(result);
    this.#emit({ type: "finished", ...this.#name(attempt) });
    for (const other of superseded) {
      this.#emit({ type: "superseded", ...this.#name(other) });
      this.#attempts.get(keyOf(other))?.abort(new AmalgamError("canceled", "Another attempt was faster"));
    }
  }

  #failed(attempt: Attempt, error: AmalgamError): void {
    if (this.#failure !== undefined) return;
    const { agent } = this.#name(attempt);
    // First, so that an agent that is in trouble is not given the unit again.
    agent.report(error);
    this.#judge(attempt, error, this.#state.fail(attempt, error, performance.now()));
  }

  #judge(attempt: Attempt, error: AmalgamError, verdict: Verdict): void {
    if (verdict.kind === "late") return;
    const retryMs = verdict.kind === "retry" ? verdict.delayMs : undefined;
    this.#emit({ type: "failed", ...this.#name(attempt), error, retryMs });
    if (verdict.kind === "fatal") this.#fail(this.#explain(attempt, verdict));
  }

  #agentChanged(agent: Agent): void {
    if (this.#failure !== undefined) return;
    this.#state.setAgent(agent.address, agent.slots, agent.state === "ready");
    this.#emit({ type: "agent", agent, state: agent.state });
    if (agent.state === "lost") {
      const error = new AmalgamError("agent_lost", `Agent ${agent.label} is lost`, { cause: agent.lostBecause });
      for (const { attempt, verdict } of this.#state.loseAgent(agent.address, error, performance.now())) {
        this.#judge(attempt, error, verdict);
        this.#attempts.get(keyOf(attempt))?.abort(error);
      }
    }
    this.#pump();
  }

  #explain({ unit: index }: Attempt, { failures, error }: Extract<Verdict, { kind: "fatal" }>): AmalgamError {
    if (!error.retryable) return error;
    const unit = this.#unit(index);
    const tensors = [...new Set(this.#options.tensorsOf?.(unit) ?? [])];
    const what = tensors.length === 0 ? `Unit ${unit.id}` : `Unit ${unit.id} (${quoteList(tensors, 3)})`;
    const reasons = failures.map(
      (failure: Failure) => `on ${this.#agent(failure.agent).label}: ${failure.error.message}`,
    );
    return new AmalgamError(error.code, `${what} failed ${failures.length} times; ${reasons.join("; ")}`, {
      cause: error,
      details: { ...error.details, unit: String(unit.id), attempts: String(failures.length) },
    });
  }

  #name({ unit, agent, epoch }: Attempt): AttemptName {
    return { unit: this.#unit(unit), agent: this.#agent(agent), epoch };
  }

  #unit(index: number): Unit {
    const unit = this.#units[index];
    if (unit === undefined) throw new RangeError(`No unit ${index} among ${this.#units.length}`);
    return unit;
  }

  #agent(address: string): Agent {
    const agent = this.#options.agents.list.find((known) => known.address === address);
    if (agent === undefined) throw new RangeError(`No agent at ${address}`);
    return agent;
  }

  #emit(event: DispatchEvent): void {
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

function noAgentLeft(agents: readonly Agent[], remaining: number): AmalgamError {
  const reasons = agents.map((agent) => `${agent.label}: ${agent.lostBecause?.message ?? agent.state}`);
  const lost = agents.length === 1 ? "The agent is lost" : `All ${agents.length} agents are lost`;
  return new AmalgamError(
    "agent_lost",
    `${lost} with ${remaining} units to go; running the same command again resumes (${reasons.join("; ")})`,
  );
}
