import type { Clock, Timer } from "../../../shared/clock.js";

/** What a merge moves its bytes over. All rates in bytes per second, per direction. */
export interface Bandwidths {
  /** Of a node's network card, full duplex. */
  readonly node: number;
  /** Of the shared storage, all nodes together. */
  readonly read: number;
  readonly write: number;
}

/** A unit on its way through a node: read, merged and written at once, tile by tile. */
interface Flow {
  /** What its node must have done per flow when this one is through. */
  readonly through: number;
  readonly done: () => void;
}

interface Node {
  /** Output bytes per millisecond of all its flows together. */
  readonly limit: number;
  readonly flows: Set<Flow>;
  /** Output bytes done by a flow that has been there from the beginning. */
  progress: number;
  rate: number;
  /** The smallest {@link Flow.through}. */
  next: number;
}

/**
 * Bandwidth shared fairly: a node's card among its units, and the storage among all units, so that none gets more until
 * all that can use it have as much (max-min fairness). Every byte written costs `readsPerWrite` bytes read.
 */
export class SharedBandwidth {
  readonly #clock: Clock;
  readonly #grainMs: number;
  readonly #nodeLimit: number;
  readonly #storageLimit: number;
  readonly #nodes = new Map<string, Node>();
  #advancedTo: number;
  #timer: Timer | undefined;
  #isDirty = false;

  /** `grainMs`: changes closer together are shared out once; what is through in between is so late. */
  constructor(clock: Clock, { node, read, write }: Bandwidths, readsPerWrite: number, grainMs: number) {
    this.#clock = clock;
    this.#grainMs = grainMs;
    this.#nodeLimit = Math.min(node / readsPerWrite, node) / 1000;
    this.#storageLimit = Math.min(read / readsPerWrite, write) / 1000;
    this.#advancedTo = clock.now();
  }

  /** A unit of so many output bytes on a node. Returns what takes it away before it is done. */
  start(name: string, bytes: number, done: () => void): () => void {
    this.#advance();
    const node = this.#node(name);
    const flow = { through: node.progress + bytes, done };
    node.flows.add(flow);
    this.#changed(node);
    return () => {
      this.#advance();
      if (node.flows.delete(flow)) this.#changed(node);
    };
  }

  #node(name: string): Node {
    const known = this.#nodes.get(name);
    if (known !== undefined) return known;
    const node = { limit: this.#nodeLimit, flows: new Set<Flow>(), progress: 0, rate: 0, next: Infinity };
    this.#nodes.set(name, node);
    return node;
  }

  #changed(node: Node): void {
    node.next = Infinity;
    for (const { through } of node.flows) node.next = Math.min(node.next, through);
    if (this.#isDirty) return;
    this.#isDirty = true;
    this.#timer?.clear();
    this.#timer = this.#clock.after(this.#grainMs, () => this.#settle());
  }

  /** Everything has gone on at its rate until now. */
  #advance(): void {
    const passed = this.#clock.now() - this.#advancedTo;
    this.#advancedTo = this.#clock.now();
    if (passed > 0) for (const node of this.#nodes.values()) node.progress += node.rate * passed;
  }

  /** Ends what is through, shares the bandwidth out anew, and waits for the next to be through. */
  #settle(): void {
    this.#advance();
    this.#isDirty = true;
    for (const node of this.#nodes.values()) {
      if (node.next > node.progress + roundingBytes) continue;
      for (const flow of [...node.flows]) {
        if (flow.through > node.progress + roundingBytes) continue;
        node.flows.delete(flow);
        flow.done();
      }
      this.#changed(node);
    }
    this.#isDirty = false;
    const fairRate = this.#fairRate();
    let wait = Infinity;
    for (const node of this.#nodes.values()) {
      if (node.flows.size === 0) continue;
      node.rate = Math.min(fairRate, node.limit / node.flows.size);
      wait = Math.min(wait, (node.next - node.progress) / node.rate);
    }
    if (wait < Infinity) this.#timer = this.#clock.after(Math.max(this.#grainMs, wait), () => this.#settle());
  }

  /** The rate that a flow gets which only the storage holds back. */
  #fairRate(): number {
    /** How many flows there are, by what their node's card leaves each. */
    const flows = new Map<number, number>();
    for (const { limit, flows: own } of this.#nodes.values()) {
      if (own.size > 0) flows.set(limit / own.size, (flows.get(limit / own.size) ?? 0) + own.size);
    }
    let left = this.#storageLimit;
    let count = [...flows.values()].reduce((sum, number) => sum + number, 0);
    for (const [rate, number] of [...flows].sort(([a], [b]) => a - b)) {
      if (rate * count >= left) return left / count;
      left -= rate * number;
      count -= number;
    }
    return Infinity;
  }
}

/** Less than a byte is a rounding error of the sums above. */
const roundingBytes = 0.5;
