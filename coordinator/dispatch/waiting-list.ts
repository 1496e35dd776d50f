/** The end of the list. */
const none = -1;

/** Numbers from 0 on in a given order, any of which can be taken out at once. */
export class WaitingList {
  readonly #next: number[];
  readonly #previous: number[];
  #first: number = none;
  #last: number = none;
  #size: number;

  /** `order`: every number below its length, once. */
  constructor(order: readonly number[]) {
    this.#next = new Array<number>(order.length).fill(none);
    this.#previous = new Array<number>(order.length).fill(none);
    this.#size = order.length;
    this.#first = order[0] ?? none;
    this.#last = order.at(-1) ?? none;
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

  /** `item` must be one that has never been in the list. */
  append(item: number): void {
    this.#next[item] = none;
    this.#previous[item] = this.#last;
    if (this.#last === none) this.#first = item;
    else this.#next[this.#last] = item;
    this.#last = item;
    this.#size += 1;
  }

  /** `item` must be in the list. */
  delete(item: number): void {
    const [before, after] = [this.#previous[item] ?? none, this.#next[item] ?? none];
    if (before === none) this.#first = after;
    else this.#next[before] = after;
    if (after === none) this.#last = before;
    else this.#previous[after] = before;
    this.#size -= 1;
  }
}

function known(item: number): number | undefined {
  return item === none ? undefined : item;
}
