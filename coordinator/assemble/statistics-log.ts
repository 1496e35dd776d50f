import type { StatisticsEntry } from "./journal-records.js";

/** Results of statistics passes. Like pieces, the first result for a place counts and later ones are ignored. */
export class StatisticsLog {
  readonly #passes = new Map<number, Map<string, StatisticsEntry>>();

  /** What is known, by pass. */
  get byPass(): ReadonlyMap<number, readonly StatisticsEntry[]> {
    return new Map([...this.#passes].map(([pass, entries]) => [pass, [...entries.values()]]));
  }

  get isEmpty(): boolean {
    return this.#passes.size === 0;
  }

  /** Takes entries in and returns those that are new. */
  add(pass: number, entries: readonly StatisticsEntry[]): StatisticsEntry[] {
    const known = this.#passes.get(pass) ?? new Map<string, StatisticsEntry>();
    const added: StatisticsEntry[] = [];
    for (const entry of entries) {
      const key = `${entry.program} ${entry.tensor ?? "model"} ${entry.slot}`;
      if (known.has(key)) continue;
      known.set(key, entry);
      added.push(entry);
    }
    if (added.length > 0) this.#passes.set(pass, known);
    return added;
  }
}
