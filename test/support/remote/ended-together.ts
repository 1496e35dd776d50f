/** Things that are ended together, the last one first. */
export class EndedTogether implements AsyncDisposable {
  readonly #things: (() => PromiseLike<void> | void)[] = [];

  use<T extends AsyncDisposable>(thing: T): T {
    this.#things.push(() => thing[Symbol.asyncDispose]());
    return thing;
  }

  close<T extends { readonly close: () => Promise<void> }>(thing: T): T {
    this.#things.push(() => thing.close());
    return thing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#things.splice(0).reverse()) await end();
  }
}
