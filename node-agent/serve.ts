import { settle } from "../shared/bus/nats/options.js";
import { AmalgamError } from "../shared/errors.js";
import { readSecurity } from "../shared/rpc/security.js";
import { type RunningAgent, runAgent } from "./agent.js";
import type { Order } from "./fences.js";
import { enterCluster } from "./membership/enter-cluster.js";
import type { Membership } from "./membership/join-cluster.js";
import type { AgentCommand } from "./settings.js";

/** What ends an agent. */
export interface Ending {
  /** Aborted: let running units finish within the grace. */
  readonly drain: AbortSignal;
  /** Aborted: end them. */
  readonly now: AbortSignal;
}

export interface Console {
  readonly log: (line: string) => void;
  readonly error: (line: string) => void;
}

/**
 * Runs an agent, in a cluster or alone, until it is told to end: by a signal or by an order of the cluster. Fails with
 * `fenced` when another agent has taken its name meanwhile.
 */
export async function serve(command: AgentCommand, ending: Ending, console: Console): Promise<void> {
  const { cluster } = command;
  const security = readSecurity(command.tls);
  const shownUrl = cluster === undefined ? "" : settle({ url: cluster.url, security, name: "" }).shownUrl;
  const stop = new AbortController();
  const onDrain = (): void => stop.abort(new AmalgamError("canceled", "The agent has been told to end"));
  ending.drain.addEventListener("abort", onDrain, { once: true });
  let membership: Membership | undefined;
  let replaced: AmalgamError | undefined;
  const onReplaced = (error: AmalgamError): void => {
    replaced = error;
    onDrain();
  };
  const onFenced = onceForEachLeader((error, { job }) => {
    membership?.report({ level: "warning", type: "fenced", message: error.message, job, fields: error.details });
  });

  await using agent = await runAgent({ ...command.agent, security, onFenced });
  console.log(`Agent ${agent.name} listens on ${agent.address}`);
  try {
    if (cluster !== undefined) {
      const log = console.error;
      const entering = enterCluster(agent, cluster, { security, signal: stop.signal, log, onDrain, onReplaced });
      membership = await unlessAborted(entering, stop.signal);
      if (membership !== undefined) console.log(`Agent ${agent.name} joined the cluster at ${shownUrl}`);
    }
    await aborted(stop.signal);
    await close(agent, { graceMs: command.graceMs, told: membership?.drain() }, ending.now);
  } finally {
    await membership?.[Symbol.asyncDispose]();
  }
  if (replaced !== undefined) throw replaced;
}

/** Undefined: it failed because there was no need for it any more. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}

async function close(
  agent: RunningAgent,
  { graceMs, told }: { readonly graceMs: number; readonly told: Promise<void> | undefined },
  now: AbortSignal,
): Promise<void> {
  const closed = agent.close({ graceMs: now.aborted ? 0 : graceMs, told });
  now.addEventListener("abort", () => void agent.close(), { once: true });
  await closed;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

type OnFenced = (error: AmalgamError, order: Order) => void;

/** A leader that woke up late may give hundreds of orders before it understands. */
function onceForEachLeader(tell: OnFenced): OnFenced {
  let last: string | undefined;
  return (error, order) => {
    const leader = `${order.job} ${order.fence}`;
    if (leader !== last) tell(error, order);
    last = leader;
  };
}
