import type { CheckpointTensor } from "../../shared/checkpoint/open.js";

/**
 * How the base stores its linear layers, told from those that are not square and have a bias, which is as long as the
 * output. PEFT looks at the class of each layer instead and corrects `fan_in_fan_out`, which so says what the last layer
 * was; undefined where no layer tells or layers differ.
 */
export function storesInByOut(base: ReadonlyMap<string, CheckpointTensor>): boolean | undefined {
  const seen = new Set<boolean>();
  for (const { name, shape } of base.values()) {
    const [rows, columns] = shape;
    if (!name.endsWith(".weight") || shape.length !== 2 || rows === columns) continue;
    const bias = base.get(name.replace(/weight$/, "bias"))?.shape;
    if (bias?.length === 1 && (bias[0] === rows || bias[0] === columns)) seen.add(bias[0] === columns);
  }
  const [first] = seen;
  return seen.size === 1 ? first : undefined;
}
