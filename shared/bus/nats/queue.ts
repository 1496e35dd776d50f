import { createInbox, type Msg } from "nats";
import { sleep, systemClock } from "../../clock.js";
import { quote } from "../../quote.js";
import type { Backlog, Delivery, Queue } from "../bus.js";
import { type ConsumerInfo, callApi, nanosecondsPerMs, publish, storedAt } from "./api.js";
import { assertFits } from "./bucket.js";
import type { Connection } from "./connection.js";
import { healed, type Names } from "./layout.js";
import { type Position, parsePosition } from "./position.js";

/** How long the server keeps one request for a message before it says that there is none. */
const pullMs = 5_000;
const heartbeatMs = 1_000;
/** Silence after which a request counts as forgotten: its server was restarted, frozen or wiped. */
const silenceMs = 3_500;
const retryMs = 250;

/** What became of one request for a message. */
type Pulled =
  | { readonly kind: "message"; readonly message: Msg; readonly position: Position }
  | { readonly kind: "none" }
  | { readonly kind: "refused" }
  | { readonly kind: "silence" };

/** A work queue: one durable consumer that all takers share, asked for one message at a time. */
export class NatsQueue implements Queue {
  readonly #connection: Connection;
  readonly #names: Names["jobs"];
  readonly #restore: () => Promise<void>;
  /** What takers are saying. */
  readonly #speaking = new Set<Promise<unknown>>();

  constructor(connection: Connection, names: Names["jobs"], restore: () => Promise<void>) {
    this.#connection = connection;
    this.#names = names;
    this.#restore = restore;
  }

  async publish(id: string, body: string): Promise<void> {
    const act = `queue ${quote(id)}`;
    assertFits(act, body);
    await healed(this.#restore, () =>
      publish(this.#connection, act, this.#names.subject, body, { "Nats-Msg-Id": encodeURIComponent(id) }),
    );
  }

  async take(signal: AbortSignal): Promise<Delivery | undefined> {
    const ending = AbortSignal.any([signal, this.#connection.closing]);
    let isQueueThere = true;
    while (!ending.aborted) {
      await this.#connection.reached(pullMs, ending);
      if (!this.#connection.isConnected) continue;
      try {
        if (!isQueueThere) await this.#restore();
        const pulled = await this.#pull(ending);
        if (pulled.kind === "message") return this.#delivery(pulled.message, pulled.position);
        // Not every server refuses a request to a queue that is gone: some say nothing.
        isQueueThere = pulled.kind === "none";
        if (!isQueueThere) await sleep(systemClock, retryMs, ending);
      } catch {
        await sleep(systemClock, retryMs, ending);
      }
    }
    return undefined;
  }

  async backlog(): Promise<Backlog> {
    const { stream, consumer } = this.#names;
    const subject = `CONSUMER.INFO.${stream}.${consumer}`;
    const info = await callApi<ConsumerInfo>(this.#connection, "look at the queue of jobs", subject);
    return { pending: info.num_pending, redelivered: info.num_redelivered };
  }

  /** Fails only when the connection is closed, and always ends: the client's own requests have been seen to wait for ever after a reconnect. */
  #pull(signal: AbortSignal): Promise<Pulled> {
    const { nats } = this.#connection;
    if (signal.aborted) return Promise.resolve({ kind: "none" });
    return new Promise((resolve) => {
      let heardAt = performance.now();
      const settle = (pulled: Pulled): void => {
        clearInterval(watchdog);
        stopListening();
        signal.removeEventListener("abort", giveUp);
        if (!subscription.isClosed()) subscription.unsubscribe();
        resolve(pulled);
      };
      const giveUp = (): void => settle({ kind: "silence" });
      const inbox = createInbox(this.#connection.settings.inboxPrefix);
      const subscription = nats.subscribe(inbox, {
        callback: (error, message) => {
          heardAt = performance.now();
          const code = message?.headers?.code ?? 0;
          const position = parsePosition(message?.reply);
          if (error) settle({ kind: error.code === "503" ? "silence" : "refused" });
          else if (code === 100) return;
          else if (code === 503) settle({ kind: "silence" });
          else if (code === 404 || code === 408) settle({ kind: "none" });
          else if (code !== 0 || position === undefined) settle({ kind: "refused" });
          else settle({ kind: "message", message, position });
        },
      });
      const watchdog = setInterval(() => {
        if (performance.now() - heardAt > silenceMs) giveUp();
      }, heartbeatMs);
      const stopListening = this.#connection.onConnection(giveUp);
      signal.addEventListener("abort", giveUp);
      const { stream, consumer } = this.#names;
      const request = {
        batch: 1,
        expires: pullMs * nanosecondsPerMs,
        idle_heartbeat: heartbeatMs * nanosecondsPerMs,
      };
      nats.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`, JSON.stringify(request), { reply: inbox });
    });
  }

  /** Resolves when all that takers have said so far is on its way. */
  async settled(): Promise<void> {
    await Promise.all(this.#speaking);
  }

  #delivery(message: Msg, position: Position): Delivery {
    const connection = this.#connection;
    let isOver = false;
    // One after another: a "still working" that comes behind "later" would put that off.
    let spoken: Promise<unknown> = Promise.resolve();
    const inTurn = <T>(speak: () => Promise<T>): Promise<T> => {
      const speaking = spoken.then(speak);
      const settled = speaking.catch(() => undefined).finally(() => this.#speaking.delete(settled));
      spoken = settled;
      this.#speaking.add(settled);
      return speaking;
    };
    const say = async (word: string): Promise<void> => {
      if (!connection.isConnected || connection.closing.aborted || !(await this.#isThere(position))) return;
      if (connection.isConnected && !connection.closing.aborted) message.respond(word);
    };
    const sayLast = (word: string): void => {
      isOver = true;
      inTurn(() => say(word)).catch(() => undefined);
    };
    let isSaying = false;
    return {
      body: message.string(),
      isRepeated: position.deliveries > 1,
      working: () => {
        if (isOver || isSaying) return;
        isSaying = true;
        inTurn(() => (isOver ? Promise.resolve() : say("+WPI")))
          .catch(() => undefined)
          .finally(() => {
            isSaying = false;
          });
      },
      later: (delayMs) => sayLast(`-NAK ${JSON.stringify({ delay: Math.round(delayMs * nanosecondsPerMs) })}`),
      done: async () => {
        try {
          await inTurn(async () => {
            if (!(await this.#isThere(position))) return;
            await connection.request("acknowledge a job", message.reply ?? "", "+ACK");
          });
          isOver = true;
          return true;
        } catch {
          return false;
        }
      },
    };
  }

  /**
   * Whether the message still stands where it was. After a loss of data another one may be in its place, for which nothing
   * must be said.
   */
  async #isThere({ streamSequence, time }: Position): Promise<boolean> {
    const act = "look for a job's message";
    return (await storedAt(this.#connection, act, this.#names.stream, streamSequence)) === time;
  }
}
