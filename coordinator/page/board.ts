import type { CollectionName, Collections } from "./types.js";

/** How much of each collection is kept. What is beyond is not taken (or, of events, the oldest goes). */
export const limits = { jobs: 1_000, nodes: 1_000, units: 64, events: 500, sweeps: 200 } as const;
/** Things that went, remembered for readers that still have them. */
const maxGone = 2_000;

interface Kept {
  readonly value: unknown;
  /** Undefined: it is gone. */
  readonly text: string | undefined;
  readonly version: number;
}

interface Written {
  readonly version: number;
  readonly text: string;
}

/** What one page shows, kept up to date, with the number of the change that each part came with. */
export class Board {
  readonly #kept = new Map<CollectionName, Map<string, Kept>>();
  readonly #counts = new Map<CollectionName, number>();
  readonly #listeners = new Set<() => void>();
  #whole: Written | undefined;
  #latest: (Written & { readonly since: number }) | undefined;
  /** Streams that are open. */
  readers = 0;
  #version = 0;
  #gone = 0;
  /** Readers that have seen no more than this cannot be told all that went since. */
  #forgotten = 0;

  /** Of the latest change. */
  get version(): number {
    return this.#version;
  }

  get<Name extends CollectionName>(name: Name, key: string): Collections[Name] | undefined {
    return this.#kept.get(name)?.get(key)?.value as Collections[Name] | undefined;
  }

  count(name: CollectionName): number {
    return this.#counts.get(name) ?? 0;
  }

  keys(name: CollectionName): readonly string[] {
    return [...(this.#kept.get(name) ?? [])].flatMap(([key, { text }]) => (text === undefined ? [] : [key]));
  }

  /** No change where it says the same as before. */
  set<Name extends CollectionName>(name: Name, key: string, value: Collections[Name]): void {
    const text = JSON.stringify(value);
    const before = this.#kept.get(name)?.get(key);
    if (before?.text !== text) this.#put(name, key, { value, text });
  }

  delete(name: CollectionName, key: string): void {
    const before = this.#kept.get(name)?.get(key);
    if (before?.text === undefined) return;
    this.#gone += 1;
    this.#put(name, key, { value: undefined, text: undefined });
    if (this.#gone > maxGone) this.#forget();
  }

  /** All that changed since a version, as JSON; undefined: too much has gone since to tell. */
  since(version: number): string | undefined {
    if (version < this.#forgotten) return undefined;
    // Streams wake together, and mostly ask for the same.
    if (this.#latest?.since !== version || this.#latest.version !== this.#version) {
      const text = this.#write((kept) => kept.version > version);
      this.#latest = { since: version, version: this.#version, text };
    }
    return this.#latest.text;
  }

  /** All there is, as JSON. Written once for all who ask before it changes, as when a server is back and all tabs with it. */
  whole(): string {
    if (this.#whole?.version !== this.#version) {
      this.#whole = { version: this.#version, text: this.#write(({ text }) => text !== undefined) };
    }
    return this.#whole.text;
  }

  /** Called after every change. Returns what ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #put(name: CollectionName, key: string, kept: Pick<Kept, "value" | "text">): void {
    const collection = this.#kept.get(name) ?? new Map<string, Kept>();
    this.#kept.set(name, collection);
    this.#version += 1;
    const change = Number(kept.text !== undefined) - Number(collection.get(key)?.text !== undefined);
    this.#counts.set(name, this.count(name) + change);
    // What changed last is last.
    collection.delete(key);
    collection.set(key, { ...kept, version: this.#version });
    for (const listener of this.#listeners) listener();
  }

  #forget(): void {
    for (const collection of this.#kept.values()) {
      for (const [key, { text }] of collection) if (text === undefined) collection.delete(key);
    }
    this.#gone = 0;
    this.#forgotten = this.#version;
  }

  #write(isWanted: (kept: Kept) => boolean): string {
    const parts: string[] = [];
    for (const [name, collection] of this.#kept) {
      const entries = [...collection].filter(([, kept]) => isWanted(kept));
      if (entries.length === 0) continue;
      const written = entries.map(([key, { text = "null" }]) => `${JSON.stringify(key)}:${text}`);
      parts.push(`${JSON.stringify(name)}:{${written.join(",")}}`);
    }
    return `{${parts.join(",")}}`;
  }
}
