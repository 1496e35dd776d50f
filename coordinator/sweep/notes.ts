/** Kinds of notes that are kept word for word. */
const maxKinds = 50;

interface Kind {
  readonly first: string;
  last: string;
  times: number;
}

/**
 * What a search says, in little room however long it runs: of notes that differ in their numbers only, the first one and how
 * many there were.
 */
export class Notes {
  readonly #kinds = new Map<string, Kind>();
  #others = 0;

  /** Whether it is worth a line now: not what was said last of its kind. */
  add(message: string): boolean {
    const kind = message.replace(/\d[\d.,e+-]*/g, "#");
    const known = this.#kinds.get(kind);
    if (known === undefined) {
      if (this.#kinds.size < maxKinds) this.#kinds.set(kind, { first: message, last: message, times: 1 });
      else this.#others += 1;
      return true;
    }
    if (known.last === message) return false;
    known.last = message;
    known.times += 1;
    return true;
  }

  get all(): readonly string[] {
    const kept = [...this.#kinds.values()].map(({ first, times }) => {
      return times === 1 ? first : `${first} (and ${times - 1} more like it)`;
    });
    return this.#others === 0 ? kept : [...kept, `and ${this.#others} other notes`];
  }
}
