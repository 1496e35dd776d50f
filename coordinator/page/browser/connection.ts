import type { Changes, Snapshot } from "../types.js";
import { openStream } from "./dom.js";
import type { Store } from "./store.js";

/** The server says something every five seconds. Three times that in silence, and it is tried anew. */
const patienceMs = 15_000;
/** Pauses between tries, by how many failed. */
const pausesMs = [1_000, 2_000, 5_000, 10_000];
const closed = 2;

export type LinkState = "connecting" | "live" | "lost";

/** Keeps a store as the server tells it, through all that happens to connections. */
export class Connection {
  readonly #store: Store;
  readonly #onState: () => void;
  #stream: ReturnType<typeof openStream> | undefined;
  #heardMs = 0;
  #failures = 0;
  #nextTryMs = 0;
  state: LinkState = "connecting";
  /** What the server's clock is ahead of ours. */
  aheadMs = 0;

  constructor(store: Store, onState: () => void) {
    this.#store = store;
    this.#onState = onState;
    this.#open();
  }

  /** Since when nothing was heard, in milliseconds; undefined: nothing was heard yet. */
  get silentMs(): number | undefined {
    return this.#heardMs === 0 ? undefined : performance.now() - this.#heardMs;
  }

  /** By the server's clock, milliseconds since 1970. */
  get serverNow(): number {
    return Date.now() + this.aheadMs;
  }

  /** To be called every second. */
  look(): void {
    const now = performance.now();
    if (this.state === "live" && now - this.#heardMs > patienceMs) this.#lose();
    if (this.#stream === undefined && now >= this.#nextTryMs) this.#open();
  }

  /** Anew, as after somebody logged in. */
  restart(): void {
    this.#stream?.close();
    this.#open();
  }

  #open(): void {
    const stream = openStream("/api/events");
    this.#stream = stream;
    const hear = (type: string, take: (data: string) => void): void => {
      stream.addEventListener(type, ({ data = "" }) => {
        if (this.#stream !== stream) return;
        take(data);
        this.#heard();
      });
    };
    hear("snapshot", (data) => {
      const snapshot = JSON.parse(data) as Snapshot;
      this.aheadMs = Date.parse(snapshot.at) - Date.now();
      this.#store.reset(snapshot);
    });
    hear("changes", (data) => this.#store.change(JSON.parse(data) as Changes));
    hear("beat", () => undefined);
    stream.addEventListener("error", () => {
      if (this.#stream !== stream) return;
      // An answer that is no stream, such as one that says that there are too many, ends its tries.
      if (stream.readyState === closed) this.#lose();
      else this.#set("lost");
    });
  }

  #heard(): void {
    this.#heardMs = performance.now();
    this.#failures = 0;
    this.#set("live");
  }

  #lose(): void {
    this.#stream?.close();
    this.#stream = undefined;
    this.#nextTryMs = performance.now() + (pausesMs[Math.min(this.#failures, pausesMs.length - 1)] ?? 0);
    this.#failures += 1;
    this.#set("lost");
  }

  #set(state: LinkState): void {
    if (this.state === state) return;
    this.state = state;
    this.#onState();
  }
}
