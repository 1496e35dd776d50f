import { randomUUID } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { availableParallelism, hostname } from "node:os";
import { openBus } from "../../shared/bus/nats/open.js";
import { systemClock } from "../../shared/clock.js";
import type { Security } from "../../shared/rpc/security.js";
import { createLeadJob } from "./lead-job.js";
import { CoordinatorService } from "./service.js";

/** What `amalgam coordinator` is started with. */
export interface CoordinatorSettings {
  /** Of the engine, credentials included. */
  readonly nats: string;
  /** @default host name and process id */
  readonly name?: string | undefined;
  /** Jobs that it leads at once. */
  readonly maxJobs: number;
  /** A folder that keeps the journals of finished jobs. Created if it is not there. */
  readonly keepJournals?: string | undefined;
  /** Threads that take in what agents stream, per job. @default 1 to 4, by the cores there are */
  readonly assemblers?: number | undefined;
  readonly security: Security;
  /** Aborted: hand jobs over to others and leave. */
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
  /** Called once it takes jobs. */
  readonly onReady?: ((name: string) => void) | undefined;
}

/** Joins the cluster and leads jobs until the signal. */
export async function runCoordinator(settings: CoordinatorSettings): Promise<void> {
  const { security, keepJournals, maxJobs, signal, log } = settings;
  const assemblers = settings.assemblers ?? Math.max(1, Math.min(4, availableParallelism() - 1));
  const name = settings.name ?? `${hostname()}-${process.pid}`;
  if (keepJournals !== undefined) await mkdir(keepJournals, { recursive: true });
  await using bus = await openBus({ url: settings.nats, security, name });
  const service = new CoordinatorService(bus, {
    name,
    instance: randomUUID(),
    clock: systemClock,
    maxJobs,
    lead: createLeadJob({ security, keepJournals, assemblers }),
    log,
  });
  await service.run(signal, () => settings.onReady?.(name));
}
