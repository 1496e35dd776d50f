import { randomUUID } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { availableParallelism, hostname } from "node:os";
import { wordOf } from "../../shared/bus/bus.js";
import { openBus } from "../../shared/bus/nats/open.js";
import { systemClock } from "../../shared/clock.js";
import { tellConnection } from "../../shared/cluster/tell-connection.js";
import type { HttpSettings } from "../../shared/http/listen.js";
import type { Log } from "../../shared/log/log.js";
import type { Security } from "../../shared/rpc/security.js";
import { certifiedName, followCredentials } from "../../shared/rpc/tls/own-certificate.js";
import type { Tracing } from "../../shared/trace/tracing.js";
import { observeAll } from "../operate/job-observer.js";
import { LeadTraces } from "../operate/lead-traces.js";
import type { Operations } from "../operate/operate.js";
import { withTraceIds } from "../operate/trace-ids.js";
import { createLeadJob } from "./lead-job.js";
import { CoordinatorService } from "./service.js";

export interface Joined {
  readonly name: string;
  /** Where it is asked over HTTP, if it is. */
  readonly url: string | undefined;
}

/** What `amalgam coordinator` is started with. */
export interface CoordinatorSettings {
  /** Of the engine, credentials included. */
  readonly nats: string;
  /** @default its certificate's, or else host name and process id */
  readonly name?: string | undefined;
  /** Jobs that it leads at once. */
  readonly maxJobs: number;
  /** A folder that keeps the journals of finished jobs. Created if it is not there. */
  readonly keepJournals?: string | undefined;
  /** Threads that take in what agents stream, per job. @default 1 to 4, by the cores there are */
  readonly assemblers?: number | undefined;
  /** Addresses below which jobs may have models. @default the Hub, S3 and public web servers */
  readonly allowedSources?: readonly string[] | undefined;
  readonly security: Security;
  /** Aborted: hand jobs over to others and leave. */
  readonly signal: AbortSignal;
  readonly log: Log;
  /** Where it is asked for metrics, health and the status page. Undefined: nowhere. */
  readonly http?: HttpSettings | undefined;
  /** Folders of sweeps that the page shows. */
  readonly sweeps?: readonly string[] | undefined;
  /** Where spans of its leads go. */
  readonly tracing?: Tracing | undefined;
  /** Called once it takes jobs. */
  readonly onReady?: ((joined: Joined) => void) | undefined;
}

/** Joins the cluster and leads jobs until the signal. */
export async function runCoordinator(settings: CoordinatorSettings): Promise<void> {
  const {
    security,
    keepJournals,
    allowedSources: roots,
    maxJobs,
    signal,
    log,
    http,
    sweeps,
    tracing,
    onReady,
  } = settings;
  const assemblers = settings.assemblers ?? Math.max(1, Math.min(4, availableParallelism() - 1));
  const name = certifiedName(security, "coordinator", settings.name) ?? `${hostname()}-${process.pid}`;
  if (keepJournals !== undefined) await mkdir(keepJournals, { recursive: true });
  const nats = { url: settings.nats, security, name, role: "coordinator" as const };
  await using bus = await openBus(nats);
  using _ = followCredentials(security, ({ level, type, message }) => {
    log[level](message, { event: type });
    bus.events.append(wordOf(name), JSON.stringify({ at: new Date().toISOString(), node: name, level, type, message }));
  });
  using _connection = tellConnection(bus, log, signal);
  signal.addEventListener("abort", () => log.info(`Coordinator ${name} hands its jobs over and leaves`), {
    once: true,
  });
  const traces = tracing && new LeadTraces(tracing);
  const run = async (operations?: Operations): Promise<void> => {
    const observer = observeAll([traces, operations?.observer].filter((one) => one !== undefined));
    const service = new CoordinatorService(bus, {
      ...{ name, instance: randomUUID(), clock: systemClock, maxJobs },
      log: traces === undefined ? log : withTraceIds(log, (job) => traces.traceIdOf(job)),
      lead: createLeadJob({ security, keepJournals, assemblers, reach: { roots }, observer }),
      onEvent: (event) => observer.hear?.(event),
      onLeaseExpired: () => observer.leaseExpired?.(),
    });
    await service.run(signal, () => {
      operations?.joined();
      onReady?.({ name, url: operations?.url });
    });
  };
  if (http === undefined) return await run();
  // Metrics take 50 ms to load, for those who ask for them.
  const { operating } = await import("../operate/operate.js");
  await operating(bus, { name, http, nats, sweeps, signal, log }, run);
}
