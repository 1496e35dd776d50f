import type { Bucket, Change, Entry } from "../../shared/bus/bus.js";
import type { MemoryLink } from "./memory-link.js";

/** The values of a bucket as the engine has them. A deleted key leaves a mark, so that watches hear of it later too. */
export class MemoryKeys {
  #changes = new Map<string, Change>();
  #revision = 0;
  readonly #watches = new Set<MemoryWatch>();

  get(key: string): Entry | undefined {
    return entryOf(this.#changes.get(key));
  }

  entries(prefix: string): readonly Entry[] {
    return this.changes(prefix).flatMap((change) => entryOf(change) ?? []);
  }

  /** Oldest first. */
  changes(prefix: string): readonly Change[] {
    const found = [...this.#changes.values()].filter(({ key }) => key.startsWith(prefix));
    return found.sort((left, right) => left.revision - right.revision);
  }

  set(key: string, value: string | undefined): number {
    this.#revision += 1;
    const change = { key, value, revision: this.#revision };
    this.#changes.set(key, change);
    for (const watch of this.#watches) watch.hear(change);
    return this.#revision;
  }

  copy(): KeysSnapshot {
    return { changes: [...this.#changes.values()], revision: this.#revision };
  }

  /** Revisions go back with the values; watches are not told of keys that are not there any more. */
  replace({ changes, revision }: KeysSnapshot): void {
    this.#changes = new Map(changes.map((change) => [change.key, change]));
    this.#revision = revision;
    for (const watch of this.#watches) watch.startOver();
  }

  add(watch: MemoryWatch): void {
    this.#watches.add(watch);
  }

  remove(watch: MemoryWatch): void {
    this.#watches.delete(watch);
  }
}

export interface KeysSnapshot {
  readonly changes: readonly Change[];
  readonly revision: number;
}

export const emptyKeys: KeysSnapshot = { changes: [], revision: 0 };

function entryOf(change: Change | undefined): Entry | undefined {
  return change?.value === undefined ? undefined : { key: change.key, value: change.value, revision: change.revision };
}

class MemoryWatch implements AsyncDisposable {
  readonly #keys: MemoryKeys;
  readonly #link: MemoryLink;
  readonly #prefix: string;
  readonly #onChange: (change: Change) => void;
  readonly #unlisten: () => void;
  #isOver = false;

  constructor(keys: MemoryKeys, link: MemoryLink, prefix: string, onChange: (change: Change) => void) {
    this.#keys = keys;
    this.#link = link;
    this.#prefix = prefix;
    this.#onChange = onChange;
    this.#unlisten = link.onConnection((isConnected) => {
      if (isConnected) this.startOver();
    });
    keys.add(this);
  }

  startOver(): void {
    for (const change of this.#keys.changes(this.#prefix)) this.hear(change);
  }

  hear(change: Change): void {
    if (!change.key.startsWith(this.#prefix) || !this.#link.isConnected) return;
    // Later, as everything that comes over a network: never inside the call that caused it.
    queueMicrotask(() => {
      this.#link.clock.whenRunning(() => {
        if (!this.#isOver) this.#onChange(change);
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    this.#unlisten();
    this.#keys.remove(this);
  }
}

/** A bucket as one process sees it. */
export class MemoryBucket implements Bucket {
  readonly #keys: MemoryKeys;
  readonly #link: MemoryLink;
  readonly #on: "state" | "nodes";

  constructor(keys: MemoryKeys, link: MemoryLink, on: "state" | "nodes") {
    this.#keys = keys;
    this.#link = link;
    this.#on = on;
  }

  get(key: string): Promise<Entry | undefined> {
    return this.#link.call({ on: this.#on, act: "get", key }, () => this.#keys.get(key));
  }

  create(key: string, value: string): Promise<number | undefined> {
    return this.#link.call({ on: this.#on, act: "create", key }, () =>
      this.#keys.get(key) === undefined ? this.#keys.set(key, value) : undefined,
    );
  }

  update(key: string, value: string, revision: number): Promise<number | undefined> {
    return this.#link.call({ on: this.#on, act: "update", key }, () =>
      this.#keys.get(key)?.revision === revision ? this.#keys.set(key, value) : undefined,
    );
  }

  put(key: string, value: string): Promise<number> {
    return this.#link.call({ on: this.#on, act: "put", key }, () => this.#keys.set(key, value));
  }

  delete(key: string): Promise<void> {
    return this.#link.call({ on: this.#on, act: "delete", key }, () => void this.#keys.set(key, undefined));
  }

  entries(prefix: string): Promise<readonly Entry[]> {
    return this.#link.call({ on: this.#on, act: "entries", key: prefix }, () => this.#keys.entries(prefix));
  }

  watch(prefix: string, onChange: (change: Change) => void): Promise<AsyncDisposable> {
    return this.#link.call({ on: this.#on, act: "watch", key: prefix }, () => {
      const watch = new MemoryWatch(this.#keys, this.#link, prefix, onChange);
      watch.startOver();
      return watch;
    });
  }
}
