import { access, constants } from "node:fs/promises";
import { dirname } from "node:path";
import type { Bus } from "../../shared/bus/bus.js";
import type { BusOptions } from "../../shared/bus/nats/options.js";
import { systemClock } from "../../shared/clock.js";
import { healthRoutes, LoopLag, type ReadyCheck } from "../../shared/http/health.js";
import { type HttpSettings, openHttp } from "../../shared/http/listen.js";
import type { Log } from "../../shared/log/log.js";
import { countTraffic } from "../../shared/metrics/count-traffic.js";
import { tellDiskSpace } from "../../shared/metrics/disk-space.js";
import { Metrics } from "../../shared/metrics/metrics.js";
import { patientStorage } from "../../shared/metrics/patient-storage.js";
import { quote } from "../../shared/quote.js";
import { kernelsVersion, packageVersion, protocolVersion } from "../../shared/rpc/version.js";
import { openPage } from "../page/open-page.js";
import { workPlace } from "../sinks/work-place.js";
import { watchCluster } from "./cluster-metrics.js";
import { Durability } from "./durability.js";
import { type LeadsObserver, observeAll } from "./job-observer.js";
import { LeadMetrics } from "./lead-metrics.js";

export interface OperateOptions {
  readonly name: string;
  readonly http: HttpSettings;
  /** How the cluster's engine is connected to, to examine it. */
  readonly nats: BusOptions;
  /** Folders of sweeps that the page shows. */
  readonly sweeps?: readonly string[] | undefined;
  /** Aborted: it leads nothing any more. */
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** A coordinator that is asked over HTTP. */
export interface Operations {
  readonly url: string;
  readonly observer: LeadsObserver;
  /** It takes jobs from here on. */
  joined(): void;
}

/** Serves metrics, health and the status page while `act` runs. Fails with `usage` where it cannot listen. */
export async function operating(
  bus: Bus,
  options: OperateOptions,
  act: (operations: Operations) => Promise<void>,
): Promise<void> {
  const { name, http, nats, sweeps, signal, log } = options;
  const metrics = new Metrics("coordinator");
  const outputs = new LedOutputs();
  using durability = new Durability(bus, nats, systemClock, log);
  await using _cluster = await watchCluster(metrics, bus);
  tellDiskSpace(metrics, () => outputs.folders);
  const stopCounting = countTraffic(metrics);
  using _traffic = { [Symbol.dispose]: stopCounting };
  tellOfItself(metrics, outputs, durability);
  let hasJoined = false;
  const checks: readonly ReadyCheck[] = [
    { name: "nats", problem: () => (bus.isConnected ? undefined : "it is not reached") },
    { name: "durability", problem: () => durability.problem },
    { name: "cluster", problem: () => (hasJoined ? undefined : "it has not joined yet") },
    { name: "leaving", problem: () => (signal.aborted ? "it hands its jobs over and leaves" : undefined) },
    { name: "staging", problem: () => firstNotWritable(outputs.folders) },
  ];
  const canAct = http.token !== undefined;
  await using page = await openPage(bus, { name, sweeps, canAct, log });
  using lag = new LoopLag();
  const routes = [metrics.route, ...healthRoutes(lag, checks), ...page.routes];
  await using server = await openHttp(routes, http, log);
  await act({
    url: server.url,
    observer: observeAll([new LeadMetrics(metrics), outputs]),
    joined: () => {
      hasJoined = true;
    },
  });
}

/** The folders that outputs of led jobs go to, or are staged in. */
class LedOutputs implements LeadsObserver {
  readonly #outputs = new Map<object, string>();

  get size(): number {
    return this.#outputs.size;
  }

  get folders(): readonly string[] {
    return [...new Set(this.#outputs.values())];
  }

  begin({ request }: Parameters<LeadsObserver["begin"]>[0]): ReturnType<LeadsObserver["begin"]> {
    const lead = { observe: () => undefined, end: () => void this.#outputs.delete(lead) };
    this.#outputs.set(lead, dirname(workPlace(request)));
    return lead;
  }
}

function tellOfItself(metrics: Metrics, outputs: LedOutputs, durability: Durability): void {
  const versions = { version: packageVersion(), kernels: kernelsVersion, protocol: String(protocolVersion) };
  metrics.gauge("amalgam_coordinator_info").set(versions, 1);
  metrics.onScrape(() => {
    metrics.gauge("amalgam_jobs_led").set(outputs.size);
    const { isSyncedAlways } = durability;
    const gauge = metrics.gauge("amalgam_nats_sync_always");
    if (isSyncedAlways === undefined) gauge.remove();
    else gauge.set(isSyncedAlways ? 1 : 0);
  });
}

async function firstNotWritable(folders: readonly string[]): Promise<string | undefined> {
  const problems = await Promise.all(folders.map(problemOf));
  return problems.find((problem) => problem !== "");
}

/** Empty: it can be written to. */
async function problemOf(folder: string): Promise<string> {
  const found = await patientStorage.ask(`whether ${folder} is writable`, () =>
    access(folder, constants.W_OK).then(
      () => "",
      () => `folder ${quote(folder)} of an output cannot be written to`,
    ),
  );
  return found ?? `folder ${quote(folder)} of an output does not answer`;
}
