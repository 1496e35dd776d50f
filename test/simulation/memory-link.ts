import { AmalgamError } from "../../shared/errors.js";
import type { ProcessClock, VirtualClock } from "./virtual-clock.js";

/** What a client asks of the engine. */
export interface Operation {
  readonly client: string;
  readonly on: "state" | "nodes" | "jobs" | "events";
  readonly act: "get" | "create" | "update" | "put" | "delete" | "entries" | "watch" | "publish" | "deliver" | "done";
  /** Of a bucket; the id of a message. */
  readonly key: string;
}

/**
 * What becomes of it: it never arrives; it takes effect but the client does not hear of it; or, as a number, it is heard
 * of after so many milliseconds and takes effect half-way.
 */
export type Fate = "ok" | "fail" | "lose-reply" | number;

/** What a client's way to the engine has to know of it. */
export interface LinkedEngine {
  readonly clock: VirtualClock;
  readonly isUp: boolean;
  readonly timeoutMs: number;
  fateOf(operation: Operation): Fate;
}

/** The way between one process and the engine. */
export class MemoryLink {
  readonly engine: LinkedEngine;
  readonly client: string;
  readonly clock: ProcessClock;
  readonly #listeners = new Set<(isConnected: boolean) => void>();
  #isPartitioned = false;
  #isClosed = false;

  constructor(engine: LinkedEngine, client: string, clock: ProcessClock) {
    this.engine = engine;
    this.client = client;
    this.clock = clock;
  }

  get isConnected(): boolean {
    return this.engine.isUp && !this.#isPartitioned && !this.#isClosed;
  }

  set isPartitioned(value: boolean) {
    const was = this.isConnected;
    this.#isPartitioned = value;
    if (was !== this.isConnected) this.tell();
  }

  close(): void {
    this.#isClosed = true;
    this.tell();
    this.#listeners.clear();
  }

  onConnection(listener: (isConnected: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The connection came or went. */
  tell(): void {
    const { isConnected } = this;
    for (const listener of this.#listeners) this.clock.whenRunning(() => listener(isConnected));
  }

  /** Fails with `bus_failed` when no answer came in time, as it is with the real one. */
  call<T>(operation: Omit<Operation, "client">, effect: () => T): Promise<T> {
    const { clock, timeoutMs } = this.engine;
    const fate = this.engine.fateOf({ ...operation, client: this.client });
    const halfMs = typeof fate === "number" ? fate / 2 : 0;
    return new Promise<T>((resolve, reject) => {
      const timer = this.clock.after(timeoutMs, () => {
        const what = `Cannot ${operation.act} "${operation.key}": no answer within ${timeoutMs} ms`;
        reject(new AmalgamError("bus_failed", what));
      });
      const arrive = (): void => {
        if (fate === "fail" || !this.isConnected) return;
        const result = effect();
        if (fate !== "lose-reply") passing(clock, halfMs, () => answer(result));
      };
      const answer = (result: T): void => {
        if (!this.isConnected) return;
        this.clock.whenRunning(() => {
          timer.clear();
          resolve(result);
        });
      };
      passing(clock, halfMs, arrive);
    });
  }
}

function passing(clock: VirtualClock, ms: number, run: () => void): void {
  if (ms === 0) run();
  else clock.after(ms, run);
}
