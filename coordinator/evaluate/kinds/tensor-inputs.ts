import { quote, quoteList } from "../../../shared/quote.js";
import type { TensorCell } from "../data/tensors.js";
import { evenBatches } from "../text/batches.js";
import type { InputTensor, Row, Task } from "../types.js";
import { rowError, taskError } from "./mismatch.js";
import type { ExampleInputs } from "./run.js";

/** Tensors by the names of a graph's inputs, a row per example. Every row of a column has the first one's shape. */
export function tensorInputs(
  task: Task,
  columns: Readonly<Record<string, string>>,
  inputs: ReadonlySet<string>,
  rows: readonly Row[],
): ExampleInputs {
  const missing = [...inputs].filter((name) => !Object.hasOwn(columns, name));
  const unknown = Object.keys(columns).filter((name) => !inputs.has(name));
  if (unknown.length + missing.length > 0) {
    const problem = `The model's inputs are ${quoteList([...inputs])}, the task feeds ${quoteList(Object.keys(columns))}`;
    throw taskError(task, problem);
  }
  const cells = Object.entries(columns).map(([name, column]) => [name, cellsOf(rows, name, column)] as const);
  const bytes = cells.reduce((sum, [, [first]]) => sum + (first?.data.length ?? 0), 0);
  return {
    batches: evenBatches(rows.length, task.batchExamples),
    sizeOf: ({ length }) => ({ cost: length * bytes, bytes: length * bytes }),
    load: async (examples) => {
      const stacked = cells.map(([name, all]) => {
        return [name, stack(examples.flatMap((example) => all[example] ?? []))] as const;
      });
      return new Map(stacked);
    },
    addTo: (hash) => {
      for (const [name, all] of cells) {
        hash.update(JSON.stringify([name, all[0]?.dtype, all[0]?.shape]));
        for (const { data } of all) hash.update(data);
      }
    },
  };
}

function cellsOf(rows: readonly Row[], name: string, column: string): readonly TensorCell[] {
  const cells = rows.map((row) => cellOf(row, name, column));
  const describe = (cell: TensorCell | undefined): string => `${cell?.dtype} of shape [${cell?.shape.join(", ")}]`;
  const wanted = describe(cells[0]);
  for (const [i, row] of rows.entries()) {
    const found = describe(cells[i]);
    if (found !== wanted) throw rowError(row, `${quote(column)} is ${found}, and ${wanted} at ${rows[0]?.place}`);
  }
  return cells;
}

function cellOf(row: Row, name: string, column: string): TensorCell {
  const value = row.fields[column];
  if (isCell(value)) return value;
  const shape: number[] = [];
  for (let list = value; Array.isArray(list); list = list[0]) shape.push(list.length);
  const numbers: readonly unknown[] = Array.isArray(value) ? value.flat(shape.length) : [];
  if (numbers.length > 0 && hasShape(value, shape) && numbers.every((item) => typeof item === "number")) {
    // Only pixels are fractions; all other inputs of graphs are numbers of tokens.
    if (name === "pixel_values") return { dtype: "F32", shape, data: bytesOf(Float32Array.from(numbers)) };
    if (numbers.every(Number.isSafeInteger)) {
      return { dtype: "I64", shape, data: bytesOf(BigInt64Array.from(numbers, BigInt)) };
    }
  }
  const there = Object.keys(row.fields);
  const problem = Object.hasOwn(row.fields, column)
    ? "which does not hold a tensor"
    : `there are ${quoteList(there, 12)}`;
  throw rowError(row, `Input ${quote(name)} is fed from column ${quote(column)}, ${problem}`);
}

/** Whether no list is longer or shorter than the first one of its depth. */
function hasShape(value: unknown, [length, ...inner]: readonly number[]): boolean {
  if (length === undefined) return !Array.isArray(value);
  return Array.isArray(value) && value.length === length && value.every((item) => hasShape(item, inner));
}

function isCell(value: unknown): value is TensorCell {
  return typeof value === "object" && value !== null && "dtype" in value && "shape" in value && "data" in value;
}

function stack(cells: readonly TensorCell[]): InputTensor {
  const [first] = cells;
  if (first === undefined) return { dtype: "F32", shape: [0], data: new Uint8Array() };
  return {
    dtype: first.dtype,
    shape: [cells.length, ...first.shape],
    data: Buffer.concat(cells.map(({ data }) => data)),
  };
}

function bytesOf(numbers: Float32Array | BigInt64Array): Uint8Array {
  return new Uint8Array(numbers.buffer);
}
