import { formatBytes } from "../../bytes.js";
import type { Connection } from "./connections.js";
import type { ServerLimits } from "./limits.js";

/** What a call is answered with. */
export interface Responses {
  /** Bytes that wait to be taken. */
  readonly untaken: () => number;
  /** How long they may. */
  readonly takeMs: number;
}

const noResponses: Responses = { untaken: () => 0, takeMs: Number.POSITIVE_INFINITY };

/** A call from its first frame until it is over. */
export class Call {
  readonly connection: Connection;
  readonly beganAt: number;
  /** Ends it, with the reason for whoever reads logs. */
  readonly end: (reason: string) => void;
  /** Of its request, so far. They are held until the call is over: a request is read from where it has come in. */
  bytes = 0;
  isComplete = false;
  isEnding = false;
  /** Since when a response waits to be taken; undefined: none does. */
  waitingSince: number | undefined;
  readonly responses: Responses;

  constructor(connection: Connection, now: number, end: (reason: string) => void, responses = noResponses) {
    this.connection = connection;
    this.beganAt = now;
    this.end = end;
    this.responses = responses;
  }
}

/** What all requests that have come, or are still coming, take. */
export class Calls {
  readonly #limits: ServerLimits;
  readonly #all = new Set<Call>();
  #heldBytes = 0;

  constructor(limits: ServerLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#all.size;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  add(call: Call): void {
    this.#all.add(call);
    call.connection.calls += 1;
    call.connection.isProven = true;
    if (this.#all.size > this.#limits.calls) this.#end(call, `there are ${this.#limits.calls} calls already`);
  }

  /** More of a call's request has come. */
  grow(call: Call, bytes: number): void {
    const { requestBytes, heldBytes } = this.#limits;
    if (call.isEnding || !this.#all.has(call)) return;
    call.bytes += bytes;
    this.#heldBytes += bytes;
    if (call.bytes > requestBytes) this.#end(call, `its request has more than ${formatBytes(requestBytes)}`);
    else if (this.#heldBytes > heldBytes) {
      const greediest = this.#latestOfGreediest();
      if (greediest)
        this.#end(greediest, `requests take ${formatBytes(heldBytes)}, and those of its connection the most`);
    }
  }

  remove(call: Call, now: number): void {
    if (!this.#all.delete(call)) return;
    this.#heldBytes -= call.bytes;
    call.connection.calls -= 1;
    call.connection.idleSince = now;
  }

  /** Ends those whose requests come, or whose responses are taken, too slowly. */
  sweep(now: number): void {
    const { requestMs, requestBytesPerSecond } = this.#limits;
    for (const call of this.#all) {
      const { untaken, takeMs } = call.responses;
      call.waitingSince = untaken() === 0 ? undefined : (call.waitingSince ?? now);
      if (now - (call.waitingSince ?? now) > takeMs) {
        this.#end(call, `it has not taken a response for ${takeMs / 1_000} seconds`);
      }
      const allowedMs = requestMs + (1_000 * call.bytes) / requestBytesPerSecond;
      if (call.isComplete || call.isEnding || now - call.beganAt <= allowedMs) continue;
      this.#end(
        call,
        `${formatBytes(call.bytes)} of its request came in ${Math.round((now - call.beganAt) / 1_000)} seconds`,
      );
    }
  }

  #end(call: Call, reason: string): void {
    if (call.isEnding) return;
    call.isEnding = true;
    this.#heldBytes -= call.bytes;
    call.bytes = 0;
    call.end(reason);
  }

  #latestOfGreediest(): Call | undefined {
    const held = new Map<Connection, number>();
    for (const { connection, bytes, isEnding } of this.#all) {
      if (!isEnding) held.set(connection, (held.get(connection) ?? 0) + bytes);
    }
    const most = Math.max(...held.values());
    return [...this.#all].findLast(({ connection, isEnding, bytes }) => {
      return !isEnding && bytes > 0 && held.get(connection) === most;
    });
  }
}
