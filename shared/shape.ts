/** Elements of a tensor; one, where it has no dimensions. */
export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
