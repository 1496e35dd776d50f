import { availableParallelism } from "node:os";
import { Server, type ServerCredentials, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { AmalgamError } from "../shared/errors.js";
import { AgentService } from "../shared/gen/amalgam/v1/agent_pb.js";
import { quote } from "../shared/quote.js";
import { formatAddress, maxMessageBytes, serverOptions } from "../shared/rpc/channel.js";
import { encodeMergeResponse } from "../shared/rpc/chunk-encoder.js";
import { loopback, type Security, serverCredentials } from "../shared/rpc/security.js";
import { guardServer } from "../shared/rpc/server/guard.js";
import { type ServerLimits, serverLimits } from "../shared/rpc/server/limits.js";
import { tellRefusedCalls } from "../shared/rpc/server/refused-calls.js";
import { type Serialize, serviceDefinition } from "../shared/rpc/service-definition.js";
import { watchHandshakes } from "../shared/rpc/tls/handshakes.js";
import { endRevokedPeers } from "../shared/rpc/tls/revoked-peers.js";
import type { Refusal } from "../shared/rpc/tls/server-credentials.js";
import { kernelsVersion, packageVersion, protocolVersion } from "../shared/rpc/version.js";
import { rolesThatMayCall } from "./callers.js";
import type { Provider } from "./evaluate/providers.js";
import { Fences, type FencesOptions } from "./fences.js";
import { GrpcHealth } from "./operate/grpc-health.js";
import type { WorkObserver } from "./operate/work-observer.js";
import { WorkerPool } from "./pool.js";
import { createConfinement } from "./roots.js";
import { createAgentService } from "./service.js";
import { type AgentSettings, completeSettings } from "./settings.js";

export interface AgentOptions extends AgentSettings {
  /** The worker threads' module. @default worker.js beside this one */
  readonly worker?: URL;
  /** The module of the process that runs models. @default evaluate/process/main.js */
  readonly modelProcess?: URL;
  /** @default loopback alone */
  readonly security?: Security;
  /** Called for orders that are refused or stopped because a later leader has been heard. */
  readonly onFenced?: FencesOptions["onFenced"];
  /** What is allowed to whoever connects, where it is not as in {@link serverLimits}. */
  readonly limits?: Partial<ServerLimits>;
  /** Called for everybody who is not let in, or may not do what it asks for. */
  readonly onRefused?: (refusal: Refusal) => void;
  /** Follows work: metrics, traces. */
  readonly observer?: WorkObserver | undefined;
}

export interface RunningAgent extends AsyncDisposable {
  /** `"127.0.0.1:40123"` */
  readonly address: string;
  readonly name: string;
  readonly slots: number;
  readonly memoryBytes: number;
  /** Folders, resolved, then URLs. */
  readonly roots: readonly string[];
  /** Execution providers of ONNX Runtime, best first. Empty: it does not evaluate. */
  readonly providers: readonly Provider[];
  /** Units, slices of evaluations and trials that run or wait. A trial that is merged or run counts as these, too. */
  readonly running: number;
  /** It takes no more work. */
  readonly isDraining: boolean;
  /**
   * Refuses new units with `agent_draining`, lets running ones finish for up to `graceMs` (default 0), then ends
   * everything. Calling it again shortens the grace. `told`: the cluster has been told to send no more; until then, and
   * for a second at most, there is somebody who refuses.
   */
  close(options?: { readonly graceMs?: number; readonly told?: Promise<void> | undefined }): Promise<void>;
}

/** How long an agent that has finished its last unit goes on refusing new ones before it is gone. */
const lameDuckMs = 500;
/** How long it waits for an engine that does not answer, to which it says that it leaves. */
const tellMs = 1_000;

/** Starts worker threads and a gRPC server. The agent serves until it is closed. */
export async function runAgent(options: AgentOptions): Promise<RunningAgent> {
  const settings = completeSettings(options);
  const { security = loopback, onFenced, onRefused, observer } = options;
  const credentials = serverCredentials(security, settings.host, { rolesFor: rolesThatMayCall, onRefused });
  const confinement = createConfinement(settings.roots);
  const roots = [...confinement.roots, ...confinement.urls];
  const { name, slots, memoryBytes, ioBytesPerSecond, providers } = settings;
  const entry = options.worker ?? new URL("./worker.js", import.meta.url);
  const limit = ioBytesPerSecond === undefined ? {} : { ioBytesPerSecond };
  const pool = new WorkerPool({ entry, workers: slots, memoryBytes, roots, security, ...limit });
  const places = { pool, roots: confinement.roots, entry: options.modelProcess };
  // A quarter of an agent's modules, which one that only merges does without.
  const evaluating =
    providers.length === 0 ? undefined : await (await import("./evaluating.js")).startEvaluating(settings, places);
  const { evaluations, trials } = evaluating ?? {};
  const draining = new AmalgamError("agent_draining", `Agent ${quote(name)} takes no more units: it is shutting down`);
  let isDraining = false;

  const interceptors = onRefused === undefined ? [] : [tellRefusedCalls(onRefused)];
  const server = new Server({ ...serverOptions, interceptors });
  const service = createAgentService({
    pool,
    evaluations,
    trials,
    confinement,
    observer,
    fences: new Fences({ agent: name, ...(onFenced === undefined ? {} : { onFenced }) }),
    refusal: () => (isDraining ? draining : undefined),
    describe: () => ({
      name,
      version: packageVersion(),
      protocol: protocolVersion,
      kernels: kernelsVersion,
      slots,
      memoryBytes: BigInt(memoryBytes),
      roots: [...roots],
      providers: [...providers],
      evalThreads: providers.length === 0 ? 0 : (settings.evalThreads ?? availableParallelism()),
      trialMemoryBytes: BigInt(trials?.memoryBytes ?? 0),
    }),
  });
  server.addService(
    serviceDefinition(AgentService, { merge: encodeMergeResponse as Serialize }),
    service as unknown as UntypedServiceImplementation,
  );
  const health = new GrpcHealth();
  server.addService(health.definition, health.handlers);
  const port = await bind(server, credentials, settings.host, settings.port);
  if (onRefused !== undefined) watchHandshakes(server, onRefused);
  endRevokedPeers(server, security, onRefused);
  guardServer(server, {
    limits: { heldBytes: serverLimits.heldBytes + 2 * slots * maxMessageBytes, ...options.limits },
    keepsOthersWaiting: (method) => method.endsWith("/Read"),
    onRefused,
  });

  let hurry = (): void => undefined;
  let closing: Promise<void> | undefined;
  const shutDown = async (told: Promise<void> | undefined): Promise<void> => {
    const graceOver = new Promise<void>((resolve) => {
      hurry = resolve;
    });
    // A coordinator gives a slot that has become free the next unit at once, and so hears that there is no next.
    const isTold = told && Promise.race([told, pause(tellMs)]);
    const idle = Promise.all([pool.idle(), evaluations?.idle(), trials?.idle(), isTold]);
    await Promise.race([idle.then(() => pause(lameDuckMs)), graceOver]);
    await Promise.all([trials?.close(draining), pool.close(draining), evaluations?.close(draining)]);
    // The last statuses are still on their way to the socket.
    await Promise.race([new Promise<void>((resolve) => server.tryShutdown(() => resolve())), pause(100)]);
    server.forceShutdown();
  };
  const close: RunningAgent["close"] = async ({ graceMs = 0, told } = {}) => {
    isDraining = true;
    health.drain();
    closing ??= shutDown(told);
    const timer = setTimeout(() => hurry(), graceMs);
    await closing;
    clearTimeout(timer);
  };
  return {
    address: formatAddress(settings.host, port),
    name,
    slots,
    memoryBytes,
    roots,
    providers,
    get running() {
      return pool.size + (evaluations?.size ?? 0) + (trials?.size ?? 0);
    },
    get isDraining() {
      return isDraining;
    },
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}

function bind(server: Server, credentials: ServerCredentials, host: string, port: number): Promise<number> {
  const address = formatAddress(host, port);
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(new AmalgamError("usage", `Cannot listen on ${quote(address)}: ${error.message}`, { cause: error }));
    });
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
