import { settle } from "../shared/bus/nats/options.js";
import { AmalgamError } from "../shared/errors.js";
import { readHttpWords } from "../shared/http/listen.js";
import { openLog } from "../shared/log/open-log.js";
import { readSecurity } from "../shared/rpc/security.js";
import { certifiedName, followCredentials } from "../shared/rpc/tls/own-certificate.js";
import { RefusalLog } from "../shared/rpc/tls/refusal-log.js";
import type { Refusal } from "../shared/rpc/tls/server-credentials.js";
import { openTracing } from "../shared/trace/open-tracing.js";
import { type RunningAgent, runAgent } from "./agent.js";
import type { Order } from "./fences.js";
import { enterCluster } from "./membership/enter-cluster.js";
import type { Happening, Membership } from "./membership/join-cluster.js";
import type { ClusterView } from "./operate/operate.js";
import { logWork } from "./operate/work-log.js";
import { observeWorkBy } from "./operate/work-observer.js";
import { traceWork } from "./operate/work-traces.js";
import { type AgentCommand, defaults } from "./settings.js";

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
  const http = readHttpWords(command.http, security);
  const name = certifiedName(security, "agent", command.agent.name) ?? defaults.name();
  const { format, level, traces } = command.telling;
  const base = { node: name, role: "agent" };
  const log = await openLog({ format, level, base, write: (line) => console.error(line.slice(0, -1)) });
  const announce = (told: string): void => (format === "json" ? log.info(told) : console.log(told));
  await using tracing = await openTracing({ isOn: traces, service: "amalgam-agent", node: name, log });
  // Metrics take 50 ms to load, for those who ask for them.
  const operations = http && new (await import("./operate/operate.js")).AgentOperations();
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
  const onReport = ({ level, type, message, job, fields }: Happening): void =>
    log[level](message, { ...fields, job, event: type });
  // What the cluster is told comes back as a report, and what cannot be told is at least in the log.
  const tell = (event: Happening): void => (membership === undefined ? onReport(event) : membership.report(event));
  const onFenced = onceForEachLeader((error, { job }) => {
    operations?.fenced();
    tell({ level: "warning", type: "fenced", message: error.message, job, fields: error.details });
  });
  const refusals = new RefusalLog(({ message, fields }) => {
    tell({ level: "warning", type: "refused", message, fields });
  });
  using _ = followCredentials(security, ({ level, type, message }) => tell({ level, type, message }));
  const onRefused = (refusal: Refusal): void => refusals.add(refusal);
  const followers = [logWork(log), tracing && traceWork(tracing), operations?.observer];
  const observer = observeWorkBy(followers.filter((follower) => follower !== undefined));
  await using agent = await runAgent({ ...command.agent, name, security, onFenced, onRefused, observer });
  announce(`Agent ${agent.name} listens on ${agent.address}`);
  const view = (): ClusterView => ({ isConnected: cluster && (membership?.isConnected ?? false) });
  await using server = http && (await operations?.serve(agent, view, http, log));
  if (server !== undefined) announce(`Agent ${agent.name} shows itself at ${server.url}`);
  try {
    if (cluster !== undefined) {
      const onDisconnected = (): void => operations?.disconnected();
      const listeners = { onDrain, onReplaced, onReport, onDisconnected };
      const entering = enterCluster(agent, cluster, { security, signal: stop.signal, log, ...listeners });
      membership = await unlessAborted(entering, stop.signal);
      if (membership !== undefined) announce(`Agent ${agent.name} joined the cluster at ${shownUrl}`);
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
