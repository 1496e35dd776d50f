/** Numbers what a part uses of a long list, in order of first use. */
export class Renumbering {
  readonly list: number[] = [];
  readonly #places = new Map<number, number>();

  of(item: number): number {
    let place = this.#places.get(item);
    if (place === undefined) {
      place = this.list.push(item) - 1;
      this.#places.set(item, place);
    }
    return place;
  }
}
