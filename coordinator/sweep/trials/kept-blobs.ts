import { type Clock, sleep, systemClock } from "../../../shared/clock.js";
import { AmalgamError } from "../../../shared/errors.js";
import { unlessAborted } from "../../../shared/unless-aborted.js";
import type { AgentClient, Leadership } from "../../dispatch/agents.js";
import { type Blob, keyOf, maxBlobBytes } from "./blobs.js";
import { isInUse } from "./placement.js";

/** An agent that has not taken some megabytes by then has a network that hangs. */
const keepTimeoutMs = 120_000;
/** The same as a unit has that sends nothing but signs of life. */
const roomTimeoutMs = 600_000;
/** How soon it is asked for again, at first and at most: each time, all the bytes are sent. */
const [roomAgainMs, roomAgainMostMs] = [100, 2_000];

/** The blobs that one agent has been given and has not been heard to lack. */
export class KeptBlobs {
  readonly #given = new Map<string, Promise<void>>();
  readonly #client: Pick<AgentClient, "keep">;
  readonly #leadership: Leadership;
  readonly #signal: AbortSignal;
  readonly #clock: Clock;

  /** `signal`: ends what is being sent, and waiting for room. */
  constructor(client: Pick<AgentClient, "keep">, leadership: Leadership, signal: AbortSignal, clock = systemClock) {
    this.#client = client;
    this.#leadership = leadership;
    this.#signal = signal;
    this.#clock = clock;
  }

  /** Hands over those that the agent does not have, each once however many trials want it. */
  async give(blobs: readonly Blob[], signal: AbortSignal): Promise<void> {
    const byKey = new Map(blobs.map((blob) => [keyOf(blob), blob]));
    for (const group of groupsOf([...byKey].filter(([key]) => !this.#given.has(key)))) {
      // Others may be giving some of them by now.
      const own = group.filter(([key]) => !this.#given.has(key));
      if (own.length === 0) continue;
      const sending = this.#send(own.map(([, blob]) => blob));
      for (const [key] of own) {
        const given = sending.catch((reason: unknown) => {
          this.#given.delete(key);
          throw reason;
        });
        // Whoever waits for it hears of it.
        given.catch(() => undefined);
        this.#given.set(key, given);
      }
      await unlessAborted(signal, sending);
    }
    await unlessAborted(signal, Promise.all([...byKey.keys()].map((key) => this.#given.get(key))));
  }

  /** The agent lacks some of them. */
  forget(): void {
    this.#given.clear();
  }

  /** Waits while other trials of the agent use the memory that it has for blobs: when one ends, there is room. */
  async #send(blobs: readonly Blob[]): Promise<void> {
    const bytes: Uint8Array[] = [];
    for (const blob of blobs) bytes.push(await blob.read());
    const giveUpAt = this.#clock.now() + roomTimeoutMs;
    for (let pauseMs = roomAgainMs; ; pauseMs = Math.min(roomAgainMostMs, 2 * pauseMs)) {
      try {
        const call = { timeoutMs: keepTimeoutMs, signal: this.#signal };
        await this.#client.keep({ leadership: this.#leadership, blobs: bytes }, call);
        return;
      } catch (reason) {
        const error = AmalgamError.from(reason);
        if (!isInUse(error) || this.#clock.now() >= giveUpAt || this.#signal.aborted) throw error;
        await sleep(this.#clock, pauseMs, this.#signal);
      }
    }
  }
}

/** As many as a message holds. */
function groupsOf<Item extends readonly [string, Blob]>(items: readonly Item[]): readonly (readonly Item[])[] {
  const groups: Item[][] = [];
  let filled = Infinity;
  for (const item of items) {
    const [, { bytes }] = item;
    if (filled + bytes > maxBlobBytes) {
      groups.push([]);
      filled = 0;
    }
    groups.at(-1)?.push(item);
    filled += bytes;
  }
  return groups;
}
