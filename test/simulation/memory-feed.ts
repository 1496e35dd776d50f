import type { Feed, FeedEntry } from "../../shared/bus/bus.js";
import type { MemoryLink } from "./memory-link.js";

/** What happened, as the engine has it. */
export class MemoryEvents {
  /** Another array once the data was lost. */
  entries: FeedEntry[] = [];
  readonly #readers = new Set<() => void>();

  append(topic: string, body: string): void {
    const sequence = (this.entries.at(-1)?.sequence ?? 0) + 1;
    this.entries.push({ topic, body, sequence });
    for (const wake of this.#readers) wake();
  }

  /** Resolves when there is more, or when the signal is aborted. */
  more(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#readers.delete(wake);
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      if (signal?.aborted) return resolve();
      signal?.addEventListener("abort", wake, { once: true });
      this.#readers.add(wake);
    });
  }
}

/** A feed as one process sees it. */
export class MemoryFeed implements Feed {
  readonly #events: MemoryEvents;
  readonly #link: MemoryLink;

  constructor(events: MemoryEvents, link: MemoryLink) {
    this.#events = events;
    this.#link = link;
  }

  append(topic: string, body: string): void {
    if (this.#link.isConnected) this.#events.append(topic, body);
  }

  async *read(options: {
    readonly topic?: string;
    readonly follow?: boolean;
    readonly last?: number;
    readonly signal?: AbortSignal;
  }): AsyncGenerator<FeedEntry, void, void> {
    const first = (entries: readonly FeedEntry[]): number =>
      options.last === undefined ? 0 : Math.max(0, entries.length - options.last);
    let source = this.#events.entries;
    let next = first(source);
    while (!options.signal?.aborted) {
      if (source !== this.#events.entries) [source, next] = [this.#events.entries, first(this.#events.entries)];
      const entry = source[next];
      if (entry === undefined) {
        if (!options.follow) return;
        await this.#events.more(options.signal);
      } else {
        next += 1;
        if (options.topic === undefined || entry.topic === options.topic) yield entry;
      }
    }
  }
}
