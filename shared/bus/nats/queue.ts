import { createInbox, type Msg } from "nats";
import { sleep, systemClock } from "../../clock.js";
import { quote } from "../../quote.js";
import type { Delivery, Queue } from "../bus.js";
import { callApi, codes, isCode, nanosecondsPerMs, publish, type StoredMessage } from "./api.js";
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
      const inbox = createInbox();
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

  #delivery(message: Msg, position: Position): Delivery {
    const connection = this.#connection;
    const answer = (word: string): void => {
      if (connection.isConnected && !connection.closing.aborted) message.respond(word);
    };
    return {
      body: message.string(),
      isRepeated: position.deliveries > 1,
      working: () => answer("+WPI"),
      later: (delayMs) => answer(`-NAK ${JSON.stringify({ delay: Math.round(delayMs * nanosecondsPerMs) })}`),
      done: async () => {
        try {
          if (!(await this.#isThere(position))) return true;
          await connection.request("acknowledge a job", message.reply ?? "", "+ACK");
          return true;
        } catch {
          return false;
        }
      },
    };
  }

  /**
   * Whether the message still stands where it was. After a loss of data another one may be in its place, which must not
   * be acknowledged for it.
   */
  async #isThere({ streamSequence, time }: Position): Promise<boolean> {
    try {
      const { message } = await callApi<StoredMessage>(
        this.#connection,
        "look for a job's message",
        `STREAM.MSG.GET.${this.#names.stream}`,
        { seq: streamSequence },
      );
      return nanosecondsOf(message.time) === time;
    } catch (error) {
      if (isCode(error, codes.noMessage) || isCode(error, codes.streamNotFound)) return false;
      throw error;
    }
  }
}

/** `2026-01-02T03:04:05.123456789Z` in nanoseconds since 1970. Dates of JavaScript end at milliseconds. */
export function nanosecondsOf(time: string): bigint {
  const [, seconds = "", fraction = "", zone = "Z"] = /^([^.Zz+]+?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/i.exec(time) ?? [];
  const wholeMs = Date.parse(`${seconds}${zone}`);
  if (Number.isNaN(wholeMs)) return -1n;
  return BigInt(wholeMs) * BigInt(nanosecondsPerMs) + BigInt(fraction.slice(0, 9).padEnd(9, "0"));
}
