/**
 * Runs `work` on every item, at most `limit` at a time, and returns the results in the items' order. After a failure no
 * more is started, what runs is waited for, and the failure of the earliest item is thrown: the same one every time.
 */
export async function mapBounded<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const failures: { readonly index: number; readonly error: unknown }[] = [];
  const queue = items.entries();
  const lane = async (): Promise<void> => {
    for (const [index, item] of queue) {
      if (failures.length > 0) return;
      try {
        results[index] = await work(item, index);
      } catch (error) {
        failures.push({ index, error });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
  const first = failures.toSorted((left, right) => left.index - right.index)[0];
  if (first !== undefined) throw first.error;
  return results;
}
