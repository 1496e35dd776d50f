import type { Store } from "./store.js";
import { onColours } from "./window.js";

/** What all parts of the page share. */
export class Page {
  readonly store: Store;
  /** By the server's clock, milliseconds since 1970. */
  readonly #now: () => number;
  readonly #colourListeners = new Set<() => void>();
  readonly #ticks = new Set<() => void>();

  constructor(store: Store, now: () => number) {
    this.store = store;
    this.#now = now;
    onColours(() => this.coloursChanged());
  }

  get now(): number {
    return this.#now();
  }

  get mayAct(): boolean {
    return this.store.isAuthenticated && this.store.server?.canAct === true;
  }

  /** Returns what ends that. */
  onColours(listener: () => void): () => void {
    this.#colourListeners.add(listener);
    return () => this.#colourListeners.delete(listener);
  }

  coloursChanged(): void {
    for (const listener of this.#colourListeners) listener();
  }

  /** Called every few seconds, for what grows old. */
  onTick(listener: () => void): void {
    this.#ticks.add(listener);
  }

  tick(): void {
    for (const listener of this.#ticks) listener();
  }
}
