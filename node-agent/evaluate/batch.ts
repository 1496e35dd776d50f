/** Numbers of several examples, row by row. The first dimension of `shape` counts examples. */
export interface Batch<Values extends Float32Array | BigInt64Array = Float32Array | BigInt64Array> {
  readonly values: Values;
  readonly shape: readonly number[];
}

/** Examples `from` up to `to`, as a view. */
export function sliceBatch({ values, shape }: Batch, from: number, to: number): Batch {
  const [, ...row] = shape;
  const width = row.reduce((count, dimension) => count * dimension, 1);
  return { values: values.subarray(from * width, to * width), shape: [to - from, ...row] };
}
