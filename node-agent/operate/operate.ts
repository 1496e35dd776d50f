import { healthRoutes, LoopLag, type ReadyCheck } from "../../shared/http/health.js";
import { type HttpSettings, openHttp } from "../../shared/http/listen.js";
import type { Log } from "../../shared/log/log.js";
import { countTraffic } from "../../shared/metrics/count-traffic.js";
import { tellDiskSpace } from "../../shared/metrics/disk-space.js";
import { Metrics } from "../../shared/metrics/metrics.js";
import { isRemote } from "../../shared/remote/url.js";
import { kernelsVersion, packageVersion, protocolVersion } from "../../shared/rpc/version.js";
import type { RunningAgent } from "../agent.js";
import { WorkHealth } from "./work-health.js";
import { countWork } from "./work-metrics.js";
import { observeWorkBy, type WorkObserver } from "./work-observer.js";

/** Where an agent is in its cluster. */
export interface ClusterView {
  /** Undefined: it is a member of none. */
  readonly isConnected: boolean | undefined;
}

/** What an agent is asked over HTTP: metrics and health. */
export class AgentOperations {
  readonly observer: WorkObserver;
  readonly #metrics = new Metrics("agent");
  readonly #health = new WorkHealth();

  constructor() {
    this.observer = observeWorkBy([countWork(this.#metrics), this.#health]);
  }

  /** A leader was refused for a later one. */
  fenced(): void {
    this.#metrics.counter("amalgam_agent_fenced_total").inc();
  }

  /** NATS was lost. */
  disconnected(): void {
    this.#metrics.counter("amalgam_nats_disconnects_total").inc();
  }

  /** Fails with `usage` where it cannot listen. */
  async serve(
    agent: RunningAgent,
    cluster: () => ClusterView,
    http: HttpSettings,
    log: Log,
  ): Promise<AsyncDisposable & { readonly url: string }> {
    this.#tellOf(agent, cluster);
    const lag = new LoopLag();
    const stopCounting = countTraffic(this.#metrics);
    const checks: readonly ReadyCheck[] = [
      { name: "draining", problem: () => (agent.isDraining ? "it takes no more units" : undefined) },
      { name: "workers", problem: () => this.#health.problem },
      {
        name: "cluster",
        problem: () => (cluster().isConnected === false ? "NATS is not reached, or has not been joined" : undefined),
      },
    ];
    const server = await openHttp([this.#metrics.route, ...healthRoutes(lag, checks)], http, log);
    return {
      url: server.url,
      [Symbol.asyncDispose]: async () => {
        stopCounting();
        lag[Symbol.dispose]();
        await server.close();
      },
    };
  }

  #tellOf(agent: RunningAgent, cluster: () => ClusterView): void {
    const metrics = this.#metrics;
    const { slots, providers, roots } = agent;
    const gpu = String(providers.some((provider) => provider !== "cpu"));
    const versions = { version: packageVersion(), kernels: kernelsVersion, protocol: String(protocolVersion) };
    metrics.gauge("amalgam_agent_info").set({ ...versions, gpu }, 1);
    metrics.gauge("amalgam_agent_slots").set(slots);
    metrics.onScrape(() => {
      metrics.gauge("amalgam_agent_running").set(agent.running);
      metrics.gauge("amalgam_agent_draining").set(agent.isDraining ? 1 : 0);
      const { isConnected } = cluster();
      const gauge = metrics.gauge("amalgam_nats_connected");
      if (isConnected === undefined) gauge.remove();
      else gauge.set(isConnected ? 1 : 0);
    });
    const folders = roots.filter((root) => !isRemote(root));
    tellDiskSpace(metrics, () => folders);
  }
}
