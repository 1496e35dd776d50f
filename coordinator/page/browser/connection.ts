import type { Changes, Snapshot } from "../types.js";
import { get, openStream } from "./requests.js";
import type { Store } from "./store.js";

/** The server says something every five seconds. Three times that in silence, and it is tried anew. */
const patienceMs = 15_000;
/** Pauses between tries, by how many failed. */
const pausesMs = [1_000, 2_000, 5_000, 10_000];
const closed = 2;

/** `crowded`: the server has as many streams as it serves, and is asked now and then instead. */
export type LinkState = "connecting" | "live" | "crowded" | "lost";

/** Keeps a store as the server tells it, through all that happens to connections. */
export class Connection {
  readonly #store: Store;
  readonly #onState: () => void;
  #stream: ReturnType<typeof openStream> | undefined;
  #openedMs = 0;
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
    // One that is being opened may never be: whoever would have to answer may be gone without a word.
    const since = this.state === "live" ? this.#heardMs : this.#openedMs;
    if (this.#stream === undefined && now >= this.#nextTryMs) this.#open();
    else if (this.#stream !== undefined && now - since > patienceMs) this.#lose("lost");
  }

  /** Anew, as after somebody logged in. */
  restart(): void {
    this.#stream?.close();
    this.#open();
  }

  #open(): void {
    const stream = openStream("/api/events");
    this.#stream = stream;
    this.#openedMs = performance.now();
    const hear = (type: string, take: (data: string) => void): void => {
      stream.addEventListener(type, ({ data = "" }) => {
        if (this.#stream !== stream) return;
        take(data);
        this.#heard();
      });
    };
    hear("snapshot", (data) => this.#take(data));
    hear("changes", (data) => this.#store.change(JSON.parse(data) as Changes));
    hear("beat", (data) => this.#setClock((JSON.parse(data) as Pick<Snapshot, "at">).at));
    stream.addEventListener("error", () => {
      if (this.#stream !== stream) return;
      // An answer that is no stream, such as one that says that there are too many, ends its tries.
      if (stream.readyState === closed) void this.#ask();
      else this.#set("lost");
    });
  }

  /** There is no stream for us: perhaps there is an answer. */
  async #ask(): Promise<void> {
    this.#lose(this.state === "crowded" ? "crowded" : "lost");
    const { text } = await get("/api/state");
    if (this.#stream !== undefined) return;
    if (text === undefined) {
      this.#set("lost");
      return;
    }
    this.#take(text);
    this.#heardMs = performance.now();
    this.#set("crowded");
  }

  #take(text: string): void {
    const snapshot = JSON.parse(text) as Snapshot;
    this.#setClock(snapshot.at);
    this.#store.reset(snapshot);
  }

  /** Either clock may be set while the page is open. */
  #setClock(at: string): void {
    this.aheadMs = Date.parse(at) - Date.now();
  }

  #heard(): void {
    this.#heardMs = performance.now();
    this.#failures = 0;
    this.#set("live");
  }

  #lose(state: LinkState): void {
    this.#stream?.close();
    this.#stream = undefined;
    const pauseMs = pausesMs[Math.min(this.#failures, pausesMs.length - 1)] ?? 0;
    // All tabs lose a server at the same moment, and need not all be back at the same moment.
    this.#nextTryMs = performance.now() + pauseMs * (0.75 + 0.5 * Math.random());
    this.#failures += 1;
    this.#set(state);
  }

  #set(state: LinkState): void {
    if (this.state === state) return;
    this.state = state;
    this.#onState();
  }
}
