import { sleep, systemClock } from "../../clock.js";
import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import type { Feed, FeedEntry } from "../bus.js";
import { callApi, type StreamInfo, storedAt } from "./api.js";
import type { Connection } from "./connection.js";
import { healed, maxValueBytes, type Names } from "./layout.js";
import { startReplay } from "./replay.js";

const retryMs = 250;
const wordPattern = /^[A-Za-z0-9_-]+$/;

/** Where a reader stands, and in which life of the stream. */
interface Place {
  readonly created: string;
  /** The sequence of the last entry that was told; 0: none was. */
  readonly last: number;
  /** When that was stored, in nanoseconds since 1970. */
  readonly time: bigint;
}

interface TimedEntry extends FeedEntry {
  readonly time: bigint;
}

/** Events in a stream that forgets the oldest. */
export class NatsFeed implements Feed {
  readonly #connection: Connection;
  readonly #names: Names["events"];
  readonly #restore: () => Promise<void>;

  constructor(connection: Connection, names: Names["events"], restore: () => Promise<void>) {
    this.#connection = connection;
    this.#names = names;
    this.#restore = restore;
  }

  append(topic: string, body: string): void {
    const { nats, isConnected, closing } = this.#connection;
    if (!isConnected || closing.aborted || !wordPattern.test(topic) || Buffer.byteLength(body) > maxValueBytes) return;
    try {
      // No answer is asked for: nothing waits for an event to be stored.
      nats.publish(`${this.#names.subjects}${topic}`, body);
    } catch {
      // The connection was closed just now.
    }
  }

  async *read(options: {
    readonly topic?: string;
    readonly follow?: boolean;
    readonly last?: number;
    readonly signal?: AbortSignal;
  }): AsyncGenerator<FeedEntry, void, void> {
    const { topic, follow = false, last } = options;
    const first = (state: StreamInfo["state"]): number => (last === undefined ? 0 : Math.max(0, state.last_seq - last));
    if (topic !== undefined && !wordPattern.test(topic)) {
      throw new AmalgamError("usage", `Cannot read events of ${quote(topic)}: it is not one word`);
    }
    const filter = `${this.#names.subjects}${topic ?? "*"}`;
    const signal = AbortSignal.any([this.#connection.closing, ...(options.signal ? [options.signal] : [])]);
    let place: Place = { created: "", last: 0, time: 0n };
    while (!signal.aborted) {
      let isWhole = false;
      try {
        const { created, state } = await healed(this.#restore, () => this.#info());
        // The stream is another one, or an older copy of it: everything in it is told.
        if (created !== place.created || (place.time > 0n && !(await this.#isIn(state, place)))) {
          place = { created, last: first(state), time: 0n };
        }
        for await (const entry of this.#once(filter, place.last + 1, follow, signal)) {
          if (entry === "whole") {
            isWhole = true;
            break;
          }
          const { time, ...told } = entry;
          place = { created, last: entry.sequence, time };
          yield told;
        }
      } catch (error) {
        if (!follow && !signal.aborted) throw error;
      }
      if (isWhole) return;
      await sleep(systemClock, retryMs, signal);
    }
  }

  #info(): Promise<StreamInfo> {
    const { stream } = this.#names;
    return callApi<StreamInfo>(this.#connection, "read events", `STREAM.INFO.${stream}`);
  }

  /**
   * Whether the stream has what was told last, or has forgotten it of old age. An older copy that has grown beyond that
   * and forgotten it, too, is taken for the same stream: what was told of it meanwhile is missed.
   */
  async #isIn({ first_seq, last_seq }: StreamInfo["state"], { last, time }: Place): Promise<boolean> {
    if (last_seq < last) return false;
    if (last < first_seq) return true;
    return (await storedAt(this.#connection, "read events", this.#names.stream, last)) === time;
  }

  /** One replay; without `follow` it ends with "whole". Ends early when the server goes away. */
  async *#once(
    filter: string,
    from: number,
    follow: boolean,
    signal: AbortSignal,
  ): AsyncGenerator<TimedEntry | "whole", void, void> {
    const waiting: (TimedEntry | "whole")[] = [];
    let isOver = false;
    let wake = (): void => {};
    const replay = await startReplay(this.#connection, {
      stream: this.#names.stream,
      filter,
      from,
      onMessage: (message, { streamSequence: sequence, time }) => {
        const topic = message.subject.slice(this.#names.subjects.length);
        waiting.push({ topic, body: message.string(), sequence, time });
        wake();
      },
      onCaughtUp: () => {
        if (!follow) waiting.push("whole");
        wake();
      },
    });
    const end = (): void => {
      isOver = true;
      wake();
    };
    signal.addEventListener("abort", end);
    void replay.ended.then(end);
    try {
      for (;;) {
        while (waiting.length > 0) {
          const next = waiting.shift();
          if (next !== undefined) yield next;
          if (signal.aborted) return;
        }
        if (isOver || signal.aborted) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      signal.removeEventListener("abort", end);
      replay.stop();
    }
  }
}
