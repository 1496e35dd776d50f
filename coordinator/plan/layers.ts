import type { LayerPosition } from "../recipe/resolve.js";

/** `model.layers.12.mlp.up_proj.weight`: the stack's name, the layer's number. Experts are numbered later in the name. */
const layerInName = /^(.*?)\.(\d+)\./;

/**
 * Where a tensor stands among the layers of its stack, by its name: what gradients run along. A stack is as deep as its
 * highest number says. Undefined for tensors outside the layers.
 */
export function layerPositions(names: Iterable<string>): (name: string) => LayerPosition | undefined {
  const counts = new Map<string, number>();
  for (const name of names) {
    const [, stack, number] = layerInName.exec(name) ?? [];
    if (stack !== undefined) counts.set(stack, Math.max(counts.get(stack) ?? 0, Number(number) + 1));
  }
  return (name) => {
    const [, stack = "", number] = layerInName.exec(name) ?? [];
    const count = counts.get(stack);
    return count === undefined ? undefined : { index: Number(number), count };
  };
}
