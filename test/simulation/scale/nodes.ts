import type { AgentState } from "../../../coordinator/dispatch/states.js";
import type { Clock } from "../../../shared/clock.js";
import { AmalgamError } from "../../../shared/errors.js";
import type { SharedBandwidth } from "./bandwidth.js";

/** After so long a dead node's connection counts as lost: gRPC's keepalive of 4 + 2 seconds. */
const detectionMs = 6_000;
/** A dead node is replaced after so long. */
const awayMs = 120_000;
/** A request's way to a worker, and opening the files. */
const startMs = 5;

/** A node as the dispatcher sees it, and as plain as can be. */
export class ScaleNode {
  readonly address: string;
  readonly slots: number;
  state: AgentState = "ready";
  lostBecause: AmalgamError | undefined;
  /** Whether it is known or not. */
  isDead = false;
  /** What stops the units that it runs. */
  readonly running = new Set<() => void>();

  constructor(address: string, slots: number) {
    this.address = address;
    this.slots = slots;
  }

  get name(): string {
    return this.address;
  }

  get label(): string {
    return this.address;
  }

  report(): void {
    // Whether it is there is known from elsewhere.
  }
}

/** The nodes of a cluster. They die, and others come in their place. */
export class ScaleNodes {
  readonly #clock: Clock;
  readonly #bandwidth: SharedBandwidth;
  readonly #nodes = new Map<string, ScaleNode>();
  readonly #listeners = new Set<(node: ScaleNode) => void>();
  deaths = 0;

  constructor(clock: Clock, bandwidth: SharedBandwidth) {
    this.#clock = clock;
    this.#bandwidth = bandwidth;
  }

  get list(): readonly ScaleNode[] {
    return [...this.#nodes.values()];
  }

  onChange(listener: (node: ScaleNode) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  add(address: string, slots: number): void {
    const node = new ScaleNode(address, slots);
    this.#nodes.set(address, node);
    this.#tell(node);
  }

  /** Now and then one dies, as often as to make `share` of all of them in a minute. */
  dieNowAndThen(share: number, random: () => number): void {
    if (share === 0) return;
    const pauseMs = (-Math.log(1 - random()) * 60_000) / (this.#nodes.size * share);
    this.#clock.after(pauseMs, () => {
      const node = this.list[Math.floor(random() * this.#nodes.size)];
      if (node?.isDead === false) this.#kill(node);
      this.dieNowAndThen(share, random);
    });
  }

  /** Reads, merges and writes so many output bytes. Never settles on a node that is dead. */
  async work(node: ScaleNode, bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      let leave = (): void => undefined;
      const stop = (): void => leave();
      const end = (): void => {
        node.running.delete(stop);
        signal.removeEventListener("abort", abort);
      };
      const abort = (): void => {
        stop();
        end();
        reject(signal.reason as Error);
      };
      node.running.add(stop);
      signal.addEventListener("abort", abort, { once: true });
      this.#clock.after(startMs, () => {
        if (node.isDead || signal.aborted) return;
        leave = this.#bandwidth.start(node.address, bytes, () => {
          end();
          resolve();
        });
      });
    });
  }

  #kill(node: ScaleNode): void {
    this.deaths += 1;
    node.isDead = true;
    for (const stop of node.running) stop();
    this.#clock.after(detectionMs, () => {
      node.state = "lost";
      node.lostBecause = new AmalgamError("agent_lost", `Node ${node.address} is silent`);
      this.#tell(node);
    });
    this.#clock.after(awayMs, () => this.add(node.address, node.slots));
  }

  #tell(node: ScaleNode): void {
    for (const listener of this.#listeners) listener(node);
  }
}
