/** A dense matrix of f64, row after row. For the small ones: cores, factors, blocks of vectors. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  /** rows · columns numbers. */
  readonly data: Float64Array;
}

export function zeros(rows: number, columns: number): Matrix {
  return { rows, columns, data: new Float64Array(rows * columns) };
}

export function transpose({ rows, columns, data }: Matrix): Matrix {
  const result = zeros(columns, rows);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      result.data[column * rows + row] = data[row * columns + column] ?? 0;
    }
  }
  return result;
}

/** A B, each element a sum in the order of the inner dimension. */
export function multiply(a: Matrix, b: Matrix): Matrix {
  if (a.columns !== b.rows) throw new RangeError(`Cannot multiply ${shape(a)} by ${shape(b)}`);
  const result = zeros(a.rows, b.columns);
  for (let row = 0; row < a.rows; row += 1) {
    const sum = rowOf(result, row);
    for (let inner = 0; inner < a.columns; inner += 1)
      addScaled(sum, a.data[row * a.columns + inner] ?? 0, rowOf(b, inner));
  }
  return result;
}

/** The row itself, not a copy. */
export function rowOf({ columns, data }: Matrix, row: number): Float64Array {
  return data.subarray(row * columns, (row + 1) * columns);
}

/** The first rows. */
export function firstRows({ columns, data }: Matrix, rows: number): Matrix {
  return { rows, columns, data: data.slice(0, rows * columns) };
}

export function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

/** target += factor · vector */
export function addScaled(target: Float64Array, factor: number, vector: Float64Array): void {
  if (factor === 0) return;
  for (let i = 0; i < target.length; i += 1) target[i] = (target[i] ?? 0) + factor * (vector[i] ?? 0);
}

export function scale(target: Float64Array, factor: number): void {
  for (let i = 0; i < target.length; i += 1) target[i] = (target[i] ?? 0) * factor;
}

function shape({ rows, columns }: Matrix): string {
  return `${rows} × ${columns}`;
}
