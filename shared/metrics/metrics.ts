import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Route } from "../http/route.js";
import { catalogue, type LabelOf, type MetricName, type MetricSpec, type NameOf } from "./catalogue.js";

type Role = "coordinator" | "agent";

/** How long a scrape waits for what has to be looked up first. What comes later is in the next. */
const collectMs = 1_000;

/**
 * The metrics of one process, in a registry of its own: those of {@link catalogue} that its role has, and the usual ones
 * of a Node process (`process_…`, `nodejs_…`; event loop lag is `nodejs_eventloop_lag_seconds`).
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #metrics = new Map<MetricName, unknown>();
  readonly #collectors: (() => void | Promise<void>)[] = [];
  /** Collectors that have not come back: they are not asked again meanwhile. */
  readonly #busy = new Set<() => void | Promise<void>>();

  constructor(role: Role) {
    collectDefaultMetrics({ register: this.#registry });
    for (const [name, spec] of Object.entries(catalogue) as readonly [MetricName, MetricSpec][]) {
      if (spec.of.includes(role)) this.#metrics.set(name, this.#create(name, spec));
    }
  }

  counter<Name extends NameOf<"counter">>(name: Name): Counter<LabelOf<Name>> {
    return this.#get(name) as Counter<LabelOf<Name>>;
  }

  gauge<Name extends NameOf<"gauge">>(name: Name): Gauge<LabelOf<Name>> {
    return this.#get(name) as Gauge<LabelOf<Name>>;
  }

  histogram<Name extends NameOf<"histogram">>(name: Name): Histogram<LabelOf<Name>> {
    return this.#get(name) as Histogram<LabelOf<Name>>;
  }

  /** Has `collect` called before every scrape, for what is looked up and not counted. What it fails with is left out. */
  onScrape(collect: () => void | Promise<void>): void {
    this.#collectors.push(collect);
  }

  /** In Prometheus' text format. */
  async text(): Promise<string> {
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, collectMs);
    });
    await Promise.race([enough, Promise.all(this.#collectors.map((collect) => this.#collect(collect)))]);
    clearTimeout(timer);
    return await this.#registry.metrics();
  }

  /** `GET /metrics`. */
  get route(): Route {
    const type = this.#registry.contentType;
    return { method: "GET", path: "/metrics", answer: async () => ({ type, body: await this.text() }) };
  }

  async #collect(collect: () => void | Promise<void>): Promise<void> {
    if (this.#busy.has(collect)) return;
    this.#busy.add(collect);
    try {
      await collect();
    } catch {
      // NATS is away, or a disk: other metrics say so.
    } finally {
      this.#busy.delete(collect);
    }
  }

  #get(name: MetricName): unknown {
    const metric = this.#metrics.get(name);
    if (metric === undefined) throw new TypeError(`This process has no metric ${name}`);
    return metric;
  }

  #create(name: MetricName, { type, help, labels = {}, buckets = [] }: MetricSpec): unknown {
    const options = { name, help, labelNames: Object.keys(labels), registers: [this.#registry] };
    if (type === "counter") return new Counter(options);
    return type === "gauge" ? new Gauge(options) : new Histogram({ ...options, buckets: [...buckets] });
  }
}
