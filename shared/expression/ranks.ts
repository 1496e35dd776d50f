/** Each magnitude's place among all of them, from 0 to 1; see Expression.rankInRow(). */
export function ranksOf(values: Float64Array): Float64Array {
  if (values.length === 1) return Float64Array.of(0.5);
  const magnitudes = values.map((x) => (Number.isNaN(x) ? Infinity : Math.abs(x)));
  const isAbove = (a: number, b: number): number => {
    const [x = 0, y = 0] = [magnitudes[a], magnitudes[b]];
    if (x !== y) return x < y ? -1 : 1;
    return Number(Number.isNaN(values[a])) - Number(Number.isNaN(values[b])) || a - b;
  };
  const ranks = new Float64Array(values.length);
  [...values.keys()].sort(isAbove).forEach((index, place) => {
    ranks[index] = place / (values.length - 1);
  });
  return ranks;
}
