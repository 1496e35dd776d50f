/**
 * What the cluster's engine must offer, in the few words that we use of it. The one behind it is NATS JetStream
 * (`openBus()`); tests have one in memory. It carries references and states, never tensors, and nothing in it is the
 * truth about finished work: that is the journal beside the output.
 *
 * Every operation fails with `bus_failed` when the engine does not answer in time. Whether it took effect is unknown
 * then: callers look again.
 */
export interface Bus extends AsyncDisposable {
  readonly server: ServerFacts;
  /** States that must last. */
  readonly state: Bucket;
  /** Who is alive: heartbeats, which need not survive the engine. */
  readonly nodes: Bucket;
  /** Jobs that wait for a coordinator. */
  readonly jobs: Queue;
  readonly events: Feed;
  /** Whether the engine is reached right now. */
  readonly isConnected: boolean;
  /** Called when the connection comes or goes. Returns what ends that. */
  onConnection(listener: (isConnected: boolean) => void): () => void;
  /** Creates whatever of the above the engine lacks, as after its data was wiped. Harmless when all is there. */
  restore(): Promise<void>;
}

/** What the engine says of itself. */
export interface ServerFacts {
  readonly name: string;
  readonly version: string;
  /** Bytes. */
  readonly maxPayload: number;
}

/**
 * Values by key, each with a revision. Keys are dot-separated words of letters, digits, `-` and `_`; see `wordOf()`.
 * Revisions of one key grow, until the engine loses its data.
 */
export interface Bucket {
  get(key: string): Promise<Entry | undefined>;
  /** The new revision; undefined if the key is there already. */
  create(key: string, value: string): Promise<number | undefined>;
  /** Compare and set: the new revision; undefined if the key's revision is another by now, or the key is gone. */
  update(key: string, value: string, revision: number): Promise<number | undefined>;
  put(key: string, value: string): Promise<number>;
  delete(key: string): Promise<void>;
  /** All keys that begin with `prefix`, such as `jobs.`. */
  entries(prefix: string): Promise<readonly Entry[]>;
  /**
   * Calls `onChange` for every entry there is, then for every change; at least once each, the latest of a key last. A
   * watch outlives the engine's absence and starts over when its data was lost. Resolves when the first entries are in;
   * fails with `bus_failed` when they do not come within the time of two operations.
   */
  watch(prefix: string, onChange: (change: Change) => void): Promise<AsyncDisposable>;
}

export interface Entry {
  readonly key: string;
  readonly value: string;
  readonly revision: number;
}

export interface Change {
  readonly key: string;
  /** Undefined: the key was deleted. */
  readonly value: string | undefined;
  readonly revision: number;
}

/**
 * Messages that each wait for one taker. Delivered at least once: a taker that is silent for {@link ackWaitMs} has it
 * delivered to another one, and even an acknowledged message may come again when the engine crashes.
 */
export interface Queue {
  /** The same id within two minutes is taken for the same message. */
  publish(id: string, body: string): Promise<void>;
  /** Waits for a message; undefined when the signal is aborted. The engine's absence is waited out. */
  take(signal: AbortSignal): Promise<Delivery | undefined>;
  /** How long the queue is. */
  backlog(): Promise<Backlog>;
}

export interface Backlog {
  /** Messages that nobody was given yet. */
  readonly pending: number;
  /** Messages that were given out more than once and are not acknowledged. */
  readonly redelivered: number;
}

/** How long a taker may be silent. */
export const ackWaitMs = 10_000;

export interface Delivery {
  readonly body: string;
  /** Not the first time, as far as the engine remembers. */
  readonly isRepeated: boolean;
  /** Still being worked on: say so every few seconds. Never fails. */
  working(): void;
  /** Over: not to be delivered again. False: the engine did not confirm it. */
  done(): Promise<boolean>;
  /** For somebody else, or for us again, after a while. Never fails. */
  later(delayMs: number): void;
}

/** What happened, in order, kept for a while. */
export interface Feed {
  /** `topic` is a job's id or a node's name as a word. Never fails: an event that cannot be told is dropped. */
  append(topic: string, body: string): void;
  /**
   * All events of a topic (all topics without), oldest first; with `follow` also those to come, until aborted. `last`: of
   * what is there only the latest so many entries of all topics, and those of the topic among them.
   */
  read(options: {
    readonly topic?: string;
    readonly follow?: boolean;
    readonly last?: number;
    readonly signal?: AbortSignal;
  }): AsyncGenerator<FeedEntry, void, void>;
}

export interface FeedEntry {
  readonly topic: string;
  readonly body: string;
  /** The engine's own count: grows, and starts over when its data was lost. */
  readonly sequence: number;
}

/** A name as one word of a key: what a key does not take is written as `_` and its code in hexadecimal, `_` included. */
export function wordOf(name: string): string {
  return [...Buffer.from(name)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[A-Za-z0-9-]/.test(character) ? character : `_${byte.toString(16).padStart(2, "0")}`;
    })
    .join("");
}
