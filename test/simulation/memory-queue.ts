import type { Backlog, Delivery, Queue } from "../../shared/bus/bus.js";
import type { Timer } from "../../shared/clock.js";
import type { MemoryLink } from "./memory-link.js";
import type { VirtualClock } from "./virtual-clock.js";

/** How long the same id is taken for the same message. */
const duplicateMs = 120_000;

interface Message {
  readonly id: string;
  readonly body: string;
  deliveries: number;
  /** While somebody has it: runs when it is to be delivered again. */
  hidden: Timer | undefined;
}

interface Taker {
  readonly link: MemoryLink;
  give(message: Message): void;
}

/** The messages of a queue as the engine has them. */
export class MemoryMessages {
  readonly #clock: VirtualClock;
  readonly ackWaitMs: number;
  #messages: Message[] = [];
  readonly #published = new Map<string, number>();
  readonly #takers = new Set<Taker>();

  constructor(clock: VirtualClock, ackWaitMs: number) {
    this.#clock = clock;
    this.ackWaitMs = ackWaitMs;
  }

  get size(): number {
    return this.#messages.length;
  }

  publish(id: string, body: string): void {
    const before = this.#published.get(id);
    if (before !== undefined && this.#clock.now() - before < duplicateMs) return;
    this.#published.set(id, this.#clock.now());
    this.#messages.push({ id, body, deliveries: 0, hidden: undefined });
    this.serve();
  }

  add(taker: Taker): void {
    this.#takers.add(taker);
    this.serve();
  }

  remove(taker: Taker): void {
    this.#takers.delete(taker);
  }

  /** Gives what waits to those who wait for it. */
  serve(): void {
    for (const taker of [...this.#takers]) {
      const message = this.#messages.find(({ hidden }) => hidden === undefined);
      if (message === undefined) return;
      if (!taker.link.isConnected) continue;
      this.#takers.delete(taker);
      message.deliveries += 1;
      this.hide(message, this.ackWaitMs);
      taker.give(message);
    }
  }

  /** Not to be delivered for so long. */
  hide(message: Message, ms: number): void {
    message.hidden?.clear();
    message.hidden = this.#clock.after(ms, () => {
      message.hidden = undefined;
      this.serve();
    });
  }

  /** Whoever says so, however late: that is how the real one is too. */
  finish(message: Message): void {
    message.hidden?.clear();
    this.#messages = this.#messages.filter((other) => other !== message);
  }

  has(message: Message): boolean {
    return this.#messages.includes(message);
  }

  get backlog(): Backlog {
    const times = this.#messages.map(({ deliveries }) => deliveries);
    return {
      pending: times.filter((count) => count === 0).length,
      redelivered: times.filter((count) => count > 1).length,
    };
  }

  copy(): readonly MessageSnapshot[] {
    return this.#messages.map(({ id, body }) => ({ id, body }));
  }

  /** Deliveries that are out belong to messages that are not there any more; their count starts over. */
  replace(messages: readonly MessageSnapshot[]): void {
    for (const { hidden } of this.#messages) hidden?.clear();
    this.#published.clear();
    this.#messages = messages.map((message) => ({ ...message, deliveries: 0, hidden: undefined }));
    this.serve();
  }
}

export interface MessageSnapshot {
  readonly id: string;
  readonly body: string;
}

/** A queue as one process sees it. */
export class MemoryQueue implements Queue {
  readonly #messages: MemoryMessages;
  readonly #link: MemoryLink;

  constructor(messages: MemoryMessages, link: MemoryLink) {
    this.#messages = messages;
    this.#link = link;
    link.onConnection((isConnected) => {
      if (isConnected) messages.serve();
    });
  }

  publish(id: string, body: string): Promise<void> {
    return this.#link.call({ on: "jobs", act: "publish", key: id }, () => this.#messages.publish(id, body));
  }

  take(signal: AbortSignal): Promise<Delivery | undefined> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve(undefined);
      const taker: Taker = {
        link: this.#link,
        give: (message) => {
          const fate = this.#link.engine.fateOf({
            client: this.#link.client,
            on: "jobs",
            act: "deliver",
            key: message.id,
          });
          // Lost on the way: the taker goes on waiting, and the message comes again.
          if (fate !== "ok") return this.#messages.add(taker);
          this.#link.clock.whenRunning(() => {
            signal.removeEventListener("abort", leave);
            resolve(this.#deliver(message));
          });
        },
      };
      const leave = (): void => {
        this.#messages.remove(taker);
        resolve(undefined);
      };
      signal.addEventListener("abort", leave, { once: true });
      this.#messages.add(taker);
    });
  }

  async backlog(): Promise<Backlog> {
    return this.#messages.backlog;
  }

  #deliver(message: Message): Delivery {
    const hide = (ms: number): void => {
      if (this.#link.isConnected && this.#messages.has(message)) this.#messages.hide(message, ms);
    };
    return {
      body: message.body,
      isRepeated: message.deliveries > 1,
      working: () => hide(this.#messages.ackWaitMs),
      later: hide,
      done: () =>
        this.#link
          .call({ on: "jobs", act: "done", key: message.id }, () => {
            const isThere = this.#messages.has(message);
            this.#messages.finish(message);
            return isThere;
          })
          .catch(() => false),
    };
  }
}
