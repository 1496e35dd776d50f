import type { RowMap, SourceFile, TensorSource } from "../../shared/gen/amalgam/v1/agent_pb.js";

/** Whether it is put together as it is read, which makes it F32. */
export function isDerived({ updates, rows }: TensorSource): boolean {
  return updates.length > 0 || rows !== undefined;
}

/** What tells an input from every other: the files as they were planned, the places in them, and what is done with those. */
export function inputKey(input: TensorSource, shape: readonly bigint[], sources: readonly SourceFile[]): string {
  return JSON.stringify([shape.map(String), partsOf(input, sources)]);
}

function partsOf({ file, offset, dtype, updates, rows }: TensorSource, sources: readonly SourceFile[]): unknown {
  // The place of a row map means nothing.
  const place = rows === undefined ? [...sourceParts(sources[file]), String(offset), dtype] : [];
  const low = updates.map(({ a, b, rank, scale, transposed }) => {
    return [a && partsOf(a, sources), b && partsOf(b, sources), rank, scale, transposed];
  });
  return [place, low, rows === undefined ? [] : rowParts(rows, sources)];
}

function rowParts({ tensors, tensorRows, firstRow, segments }: RowMap, sources: readonly SourceFile[]): unknown {
  return [
    tensors.map((tensor) => partsOf(tensor, sources)),
    tensorRows.map(String),
    String(firstRow),
    segments.map(({ count, run, terms }) => [
      String(count),
      run && [run.tensor, String(run.row)],
      terms.map(({ tensor, row, rows, weight }) => [tensor, String(row), String(rows), weight]),
    ]),
  ];
}

function sourceParts(source: SourceFile | undefined): readonly unknown[] {
  return [source?.path, String(source?.bytes), source?.modifiedMs];
}
