import type { PageElement } from "./dom-types.js";

interface Row<T> {
  readonly element: PageElement;
  update(item: T): void;
  /** It will not be shown any more. */
  remove?(): void;
}

/**
 * Elements for items, by key, in the order of the items. What stays keeps its element, so that focus, selection and
 * scrolling stay, too.
 */
export class Rows<T> {
  readonly #parent: PageElement;
  readonly #make: (item: T) => Row<T>;
  readonly #rows = new Map<string, Row<T>>();

  constructor(parent: PageElement, make: (item: T) => Row<T>) {
    this.#parent = parent;
    this.#make = make;
  }

  show(items: readonly (readonly [string, T])[]): void {
    const wanted = new Set(items.map(([key]) => key));
    for (const [key, row] of this.#rows) {
      if (wanted.has(key)) continue;
      row.element.remove();
      row.remove?.();
      this.#rows.delete(key);
    }
    for (const [i, [key, item]] of items.entries()) {
      let row = this.#rows.get(key);
      if (row === undefined) {
        row = this.#make(item);
        this.#rows.set(key, row);
      }
      row.update(item);
      // What has moved down is taken out, to be put back below: to move all others up instead would take the focus from them.
      if (this.#parent.children[i + 1] === row.element) this.#parent.children[i]?.remove();
      const there = this.#parent.children[i];
      if (there !== row.element) this.#parent.insertBefore(row.element, there ?? null);
    }
  }
}
