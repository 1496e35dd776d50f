/** Holds on to what was opened, and lets go of it in the opposite order. */
export class Keeper implements AsyncDisposable {
  readonly #kept: AsyncDisposable[] = [];

  keep<T extends AsyncDisposable>(one: T): T {
    this.#kept.push(one);
    return one;
  }

  /** What `open` makes of the things that it keeps; if it fails, they are let go of. */
  static async with<T>(open: (keeper: Keeper) => Promise<T>): Promise<readonly [T, Keeper]> {
    const keeper = new Keeper();
    try {
      return [await open(keeper), keeper];
    } catch (error) {
      await keeper[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.#kept.splice(0).reverse()) await one[Symbol.asyncDispose]();
  }
}
