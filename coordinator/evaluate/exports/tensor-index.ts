import type { Numbers } from "./numbers.js";

/**
 * Tensors by their first number, which is also that of their transposes: most of thousands are told apart by one look at
 * each.
 */
export class TensorIndex {
  readonly #byFirst: ReadonlyMap<number, readonly Numbers[]>;

  private constructor(byFirst: ReadonlyMap<number, readonly Numbers[]>) {
    this.#byFirst = byFirst;
  }

  static async of(tensors: readonly Numbers[]): Promise<TensorIndex> {
    const byFirst = new Map<number, Numbers[]>();
    for (const tensor of tensors) {
      if (tensor.count === 0) continue;
      const [first = Number.NaN] = Array.from(await tensor.read(0, 1));
      const known = byFirst.get(first);
      if (known === undefined) byFirst.set(first, [tensor]);
      else known.push(tensor);
    }
    return new TensorIndex(byFirst);
  }

  /** The tensors whose first number is the one that `numbers` has at `position`, in the checkpoint's order. */
  async startingAt(numbers: Numbers, position = 0): Promise<readonly Numbers[]> {
    if (position >= numbers.count) return [];
    const [value = Number.NaN] = Array.from(await numbers.read(position, 1));
    return this.#byFirst.get(value) ?? [];
  }
}
