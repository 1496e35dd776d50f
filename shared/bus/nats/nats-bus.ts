import { sleep, systemClock } from "../../clock.js";
import type { Bucket, Bus, Feed, ServerFacts } from "../bus.js";
import { NatsBucket } from "./bucket.js";
import type { Connection } from "./connection.js";
import { NatsFeed } from "./feed.js";
import { createAll, namesOf } from "./layout.js";
import { NatsQueue } from "./queue.js";

const retryMs = 500;

/** The four parts over one connection, which it owns. */
export class NatsBus implements Bus {
  readonly state: Bucket;
  readonly nodes: Bucket;
  readonly jobs: NatsQueue;
  readonly events: Feed;
  readonly #connection: Connection;
  #restoring: Promise<void> | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
    const names = namesOf(connection.settings.prefix);
    const restore = (): Promise<void> => this.restore();
    this.state = new NatsBucket(connection, names.state, restore);
    this.nodes = new NatsBucket(connection, names.nodes, restore);
    this.jobs = new NatsQueue(connection, names.jobs, restore);
    this.events = new NatsFeed(connection, names.events, restore);
    connection.onConnection((isConnected) => {
      if (isConnected) void this.#restoreSoon();
    });
  }

  get server(): ServerFacts {
    const { info } = this.#connection.nats;
    return {
      name: info?.server_name ?? "",
      version: info?.version ?? "",
      maxPayload: info?.max_payload ?? 0,
    };
  }

  get isConnected(): boolean {
    return this.#connection.isConnected;
  }

  onConnection(listener: (isConnected: boolean) => void): () => void {
    return this.#connection.onConnection(listener);
  }

  /** Those who ask at the same time share one answer. */
  restore(): Promise<void> {
    this.#restoring ??= createAll(this.#connection).finally(() => {
      this.#restoring = undefined;
    });
    return this.#restoring;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isConnected) await this.jobs.settled();
    await this.#connection[Symbol.asyncDispose]();
  }

  /** Events are published without a look back, so nobody else would notice that their stream is gone. */
  async #restoreSoon(): Promise<void> {
    const { closing } = this.#connection;
    while (this.isConnected && !closing.aborted) {
      try {
        return await this.restore();
      } catch {
        await sleep(systemClock, retryMs, closing);
      }
    }
  }
}
