/** Numbers things in the order of first use. */
export class Numbering<Thing> {
  readonly list: Thing[] = [];
  readonly #places = new Map<Thing, number>();

  of(thing: Thing): number {
    let place = this.#places.get(thing);
    if (place === undefined) {
      place = this.list.push(thing) - 1;
      this.#places.set(thing, place);
    }
    return place;
  }
}
