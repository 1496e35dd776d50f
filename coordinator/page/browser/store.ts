import type { Changes, CollectionName, Collections, Snapshot } from "../types.js";

/** Events that a tab holds, however long it is open. Of the rest the server says what there is no more. */
const maxEvents = 500;

type Contents = { [Name in CollectionName]: Map<string, Collections[Name]> };

/** What the server has told, as it is now. */
export class Store {
  readonly contents: Contents = {
    ...{ server: new Map(), jobs: new Map(), units: new Map(), nodes: new Map(), events: new Map(), sweeps: new Map() },
  };
  isAuthenticated = false;
  readonly #listeners = new Map<CollectionName, Set<() => void>>();

  get server(): Collections["server"] | undefined {
    return this.contents.server.get("this");
  }

  on(names: readonly CollectionName[], listener: () => void): void {
    for (const name of names) {
      const listeners = this.#listeners.get(name) ?? new Set();
      listeners.add(listener);
      this.#listeners.set(name, listeners);
    }
  }

  /** Takes the place of all that was there. */
  reset({ at: _, isAuthenticated, ...contents }: Snapshot): void {
    this.isAuthenticated = isAuthenticated;
    for (const collection of Object.values(this.contents)) collection.clear();
    this.#put(contents);
    for (const listeners of this.#listeners.values()) for (const listener of listeners) listener();
  }

  change(changes: Changes): void {
    this.#put(changes);
    const called = new Set<() => void>();
    for (const name of Object.keys(changes) as CollectionName[]) {
      for (const listener of this.#listeners.get(name) ?? []) called.add(listener);
    }
    for (const listener of called) listener();
  }

  #put(changes: Changes): void {
    for (const [name, entries] of Object.entries(changes)) {
      const collection: Map<string, unknown> | undefined = this.contents[name as CollectionName];
      // A server of another version may have more to tell.
      if (collection === undefined) continue;
      for (const [key, value] of Object.entries(entries as Record<string, unknown>)) {
        collection.delete(key);
        if (value !== null) collection.set(key, value);
      }
    }
    const { events } = this.contents;
    for (const key of events.keys()) {
      if (events.size <= maxEvents) return;
      events.delete(key);
    }
  }
}
