import type { Bus } from "../../shared/bus/bus.js";
import { isOver, keys, type OrderRecord } from "../../shared/cluster/records.js";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { JobStore } from "../cluster/jobs.js";
import type { KnownNodes } from "./known-nodes.js";
import type { PageActions } from "./source.js";

/** What the page's buttons ask of a cluster: the same as `amalgam cancel` and `amalgam drain`. */
export class ClusterActions implements PageActions {
  readonly #bus: Bus;
  readonly #nodes: KnownNodes;

  constructor(bus: Bus, nodes: KnownNodes) {
    this.#bus = bus;
    this.#nodes = nodes;
  }

  async cancel(job: string): Promise<string> {
    const record = await new JobStore(this.#bus).requestCancel(job);
    if (record === undefined) throw new AmalgamError("usage", `Unknown job ${quote(job)}`);
    if (isOver(record.state)) throw new AmalgamError("usage", `Job ${quote(job)} is over already, and ${record.state}`);
    return `Job ${quote(job)} is to be canceled; its work is kept`;
  }

  async drain(name: string): Promise<string> {
    const node = this.#nodes.called(name);
    if (node === undefined) throw new AmalgamError("usage", `Unknown node ${quote(name)}`);
    if (node.role !== "agent") {
      const remedy = "end it with SIGTERM, and it hands its jobs to the others";
      throw new AmalgamError("usage", `Cannot drain coordinator ${quote(name)}: ${remedy}`);
    }
    if (!this.#nodes.isAlive(name)) {
      const gone = "it is silent, and gone as far as others can tell";
      throw new AmalgamError("usage", `Cannot drain node ${quote(name)}: ${gone}`);
    }
    const order: OrderRecord = { instance: node.instance, order: "drain", by: "the status page" };
    await this.#bus.state.put(keys.order(name), JSON.stringify(order));
    return `Agent ${quote(name)} is to drain: it finishes what it runs, takes nothing more, and leaves`;
  }
}
