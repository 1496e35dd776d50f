/** The end of the list. */
const none = -1;

/** Numbers from 0 on in a given order, any of which can be taken out at once. */
export class WaitingList {
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  #first: number = none;
  #size: number;

  /** `order`: every number below its length, once. */
  constructor(order: readonly number[]) {
    this.#next = new Int32Array(order.length).fill(none);
    this.#previous = new Int32Array(order.length).fill(none);
    this.#size = order.length;
    this.#first = order[0] ?? none;
    order.forEach((item, place) => {
      this.#next[item] = order[place + 1] ?? none;
      this.#previous[item] = order[place - 1] ?? none;
    });
  }

  get size(): number {
    return this.#size;
  }

  get first(): number | undefined {
    return known(this.#first);
  }

  after(item: number): number | undefined {
    return known(this.#next[item] ?? none);
  }

  /** `item` must be in the list. */
  delete(item: number): void {
    const [before, after] = [this.#previous[item] ?? none, this.#next[item] ?? none];
    if (before === none) this.#first = after;
    else this.#next[before] = after;
    if (after !== none) this.#previous[after] = before;
    this.#size -= 1;
  }
}

function known(item: number): number | undefined {
  return item === none ? undefined : item;
}
