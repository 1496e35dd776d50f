import type { Msg } from "nats";
import { sleep, systemClock } from "../../clock.js";
import { AmalgamError } from "../../errors.js";
import { formatCount, quote } from "../../quote.js";
import type { Bucket, Change, Entry } from "../bus.js";
import { callApi, codes, isCode, publish, type StoredMessage } from "./api.js";
import type { Connection } from "./connection.js";
import { type BucketNames, healed, maxValueBytes } from "./layout.js";
import { isDeletion, type Position } from "./position.js";
import { startReplay } from "./replay.js";

const operationField = "KV-Operation";
const revisionField = "Nats-Expected-Last-Subject-Sequence";
const retryMs = 250;

/** A key-value bucket: the latest message of each subject of a stream. */
export class NatsBucket implements Bucket {
  readonly #connection: Connection;
  readonly #names: BucketNames;
  readonly #restore: () => Promise<void>;

  constructor(connection: Connection, names: BucketNames, restore: () => Promise<void>) {
    this.#connection = connection;
    this.#names = names;
    this.#restore = restore;
  }

  async get(key: string): Promise<Entry | undefined> {
    const latest = await healed(this.#restore, () => this.#latest(key));
    return latest?.value === undefined ? undefined : { key, value: latest.value, revision: latest.revision };
  }

  async create(key: string, value: string): Promise<number | undefined> {
    const revision = await this.#publish("create", key, value, { [revisionField]: "0" });
    if (revision !== undefined) return revision;
    // A deleted key leaves a marker, which is what the new value has to follow then.
    const latest = await healed(this.#restore, () => this.#latest(key));
    if (latest === undefined || latest.value !== undefined) return undefined;
    return this.#publish("create", key, value, { [revisionField]: String(latest.revision) });
  }

  update(key: string, value: string, revision: number): Promise<number | undefined> {
    return this.#publish("update", key, value, { [revisionField]: String(revision) });
  }

  async put(key: string, value: string): Promise<number> {
    const revision = await this.#publish("write", key, value);
    if (revision === undefined) throw this.#connection.failure(`write ${quote(key)}`, "refused", "10071");
    return revision;
  }

  async delete(key: string): Promise<void> {
    await this.#publish("delete", key, "", { [operationField]: "DEL" });
  }

  async entries(prefix: string): Promise<readonly Entry[]> {
    const deadline = performance.now() + 2 * this.#connection.settings.timeoutMs;
    for (;;) {
      const changes = await healed(this.#restore, () => this.#snapshot(prefix, deadline));
      if (changes === undefined && performance.now() < deadline) continue;
      if (changes === undefined)
        throw this.#connection.failure(`list ${quote(prefix)}`, "no answer in time", "TIMEOUT");
      return [...changes.values()].flatMap(({ key, value, revision }) =>
        value === undefined ? [] : [{ key, value, revision }],
      );
    }
  }

  async watch(prefix: string, onChange: (change: Change) => void): Promise<AsyncDisposable> {
    const filter = this.#filter(prefix);
    const ending = new AbortController();
    const signal = AbortSignal.any([ending.signal, this.#connection.closing]);
    let isReady = false;
    let [whenReady, whenFailed] = [(): void => {}, (_: unknown): void => {}];
    const ready = new Promise<void>((resolve, reject) => {
      whenReady = resolve;
      whenFailed = reject;
    });
    const deadline = performance.now() + 2 * this.#connection.settings.timeoutMs;
    const begin = () =>
      startReplay(this.#connection, {
        stream: this.#names.stream,
        filter,
        from: "latest",
        onMessage: (message, position) => {
          if (!signal.aborted) onChange(this.#change(message, position));
        },
        onCaughtUp: () => {
          isReady = true;
          whenReady();
        },
      });
    const once = async (): Promise<unknown> => {
      try {
        const replay = await healed(this.#restore, begin);
        const stop = (): void => replay.stop();
        if (signal.aborted) stop();
        signal.addEventListener("abort", stop);
        await replay.ended;
        signal.removeEventListener("abort", stop);
        return this.#connection.failure(`watch ${quote(prefix)}`, "no answer in time", "TIMEOUT");
      } catch (error) {
        return error;
      }
    };
    const keep = async (): Promise<void> => {
      do {
        const failure = await once();
        // Whoever begins wants to know what is wrong; whoever has begun wants to go on.
        if (!isReady && (signal.aborted || performance.now() >= deadline)) return whenFailed(failure);
        await sleep(systemClock, retryMs, signal);
      } while (!signal.aborted);
    };
    const kept = keep();
    await ready;
    return {
      [Symbol.asyncDispose]: () => {
        ending.abort();
        return kept;
      },
    };
  }

  /** Undefined: it broke off or took too long. */
  async #snapshot(prefix: string, deadline: number): Promise<ReadonlyMap<string, Change> | undefined> {
    const changes = new Map<string, Change>();
    let isWhole = false;
    let whenWhole = (): void => {};
    const whole = new Promise<void>((resolve) => {
      whenWhole = resolve;
    });
    const replay = await startReplay(this.#connection, {
      stream: this.#names.stream,
      filter: this.#filter(prefix),
      from: "latest",
      onMessage: (message, position) => {
        const change = this.#change(message, position);
        changes.set(change.key, change);
      },
      onCaughtUp: () => {
        isWhole = true;
        whenWhole();
      },
    });
    const timer = setTimeout(whenWhole, Math.max(0, deadline - performance.now()));
    await Promise.race([whole, replay.ended]);
    clearTimeout(timer);
    replay.stop();
    return isWhole ? changes : undefined;
  }

  async #latest(key: string): Promise<Change | undefined> {
    const subject = this.#subject(key);
    const act = `read ${quote(key)}`;
    try {
      // From the stream's leader, not from any replica: what was written before is seen.
      const { message } = await callApi<StoredMessage>(this.#connection, act, `STREAM.MSG.GET.${this.#names.stream}`, {
        last_by_subj: subject,
      });
      const head = Buffer.from(message.hdrs ?? "", "base64").toString("latin1");
      const operation = /^KV-Operation: *(\w+)/m.exec(head)?.[1] ?? "PUT";
      const value = Buffer.from(message.data ?? "", "base64").toString();
      return { key, value: isDeletion(operation) ? undefined : value, revision: message.seq };
    } catch (error) {
      if (isCode(error, codes.noMessage)) return undefined;
      throw error;
    }
  }

  async #publish(
    verb: string,
    key: string,
    value: string,
    fields: Readonly<Record<string, string>> = {},
  ): Promise<number | undefined> {
    const subject = this.#subject(key);
    assertFits(`${verb} ${quote(key)}`, value);
    try {
      return await healed(this.#restore, () =>
        publish(this.#connection, `${verb} ${quote(key)}`, subject, value, fields),
      );
    } catch (error) {
      if (isCode(error, codes.wrongLastSequence)) return undefined;
      throw error;
    }
  }

  #change(message: Msg, { streamSequence }: Position): Change {
    const isGone = isDeletion(message.headers?.get(operationField) ?? "PUT");
    return {
      key: message.subject.slice(this.#names.subjects.length),
      value: isGone ? undefined : message.string(),
      revision: streamSequence,
    };
  }

  #subject(key: string): string {
    if (!/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/.test(key)) {
      throw new AmalgamError("usage", `Cannot use ${quote(key)} as a key: it is not words divided by dots`);
    }
    return `${this.#names.subjects}${key}`;
  }

  #filter(prefix: string): string {
    if (!/^([A-Za-z0-9_-]+\.)*$/.test(prefix)) {
      throw new AmalgamError("usage", `Cannot use ${quote(prefix)} as a prefix of keys: it does not end with a dot`);
    }
    return `${this.#names.subjects}${prefix}>`;
  }
}

/** Refuses, with `usage`, what is larger than {@link maxValueBytes}. */
export function assertFits(act: string, value: string): void {
  const bytes = Buffer.byteLength(value);
  if (bytes <= maxValueBytes) return;
  throw new AmalgamError(
    "usage",
    `Cannot ${act} in NATS: it has ${formatCount(bytes)} bytes, at most ${formatCount(maxValueBytes)} are allowed`,
  );
}
