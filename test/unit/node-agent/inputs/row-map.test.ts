import { expect, test } from "vitest";
import type { PlannedInput, RowMap, StoredTensor } from "../../../../coordinator/plan/types.js";
import { TileMemory } from "../../../../node-agent/compute/wasm/memory.js";
import { CombinedRows } from "../../../../node-agent/inputs/combinations.js";
import { openInputs } from "../../../../node-agent/inputs/open.js";
import { ReadContext } from "../../../../node-agent/inputs/reader.js";
import type { RowSegment } from "../../../../shared/checkpoint/row-segments.js";
import { tileSlack } from "../../../../shared/expression/tiles.js";
import { normals, seeded } from "../../../support/random.js";
import { bitsOf, expectedValues, MemoryFile, pieceInput, readTiles } from "../../../support/readers.js";

type Mapped = StoredTensor & Pick<PlannedInput, "rows">;

/** Three tensors of 50, 40 and 30 rows, in three dtypes, the last with an update. */
function build(columns: number, segments: readonly RowSegment[]) {
  const random = seeded(columns);
  const file = new MemoryFile();
  const [first, second, third] = [
    file.add(normals(50 * columns, random), "BF16"),
    file.add(normals(40 * columns, random), "F32"),
    file.add(normals(30 * columns, random), "F16"),
  ] as const;
  const a = file.add(normals(3 * columns, random), "F32");
  const b = file.add(normals(30 * 3, random), "BF16");
  const updates = [{ a, b, rank: 3, scale: 2, transposed: false }];
  const rows: RowMap = {
    tensors: [
      { ...first, rows: 50 },
      { ...second, rows: 40 },
      { ...third, rows: 30, updates },
    ],
    columns,
    segments,
  };
  const input: Mapped = { ...first, rows };
  const count = segments.reduce((total, segment) => total + segment.count, 0);
  return { input, shape: [count, columns], file: file.bytes };
}

const mixed: readonly RowSegment[] = [
  { kind: "run", count: 20, tensor: 0, row: 30 },
  { kind: "zero", count: 3 },
  { kind: "run", count: 1, tensor: 1, row: 39 },
  { kind: "run", count: 1, tensor: 1, row: 0 },
  {
    kind: "combination",
    count: 5,
    terms: [
      { tensor: 0, row: 0, rows: 50, weight: 1 / 50 },
      { tensor: 2, row: 7, rows: 2, weight: -0.5 },
    ],
  },
  { kind: "run", count: 30, tensor: 2, row: 0 },
  { kind: "combination", count: 1, terms: [{ tensor: 1, row: 4, rows: 1, weight: 0.1 }] },
  { kind: "combination", count: 1, terms: [{ tensor: 1, row: 4, rows: 1, weight: 0.2 }] },
  { kind: "zero", count: 1 },
];

test.each([1, 3, 16, 37, 130])("runs, combinations and zero rows of %i columns equal the reference", (columns) => {
  const { input, shape, file } = build(columns, mixed);
  const expected = bitsOf(expectedValues(input, shape, file));
  expect(new Set(expected).size).toBeGreaterThan(columns);
  for (const tiles of [[63 * columns], [columns], [columns + 1], [7, 100], [5 * columns - 2]]) {
    expect(bitsOf(readTiles(pieceInput(input), shape, file, tiles).values), `tiles of ${tiles}`).toEqual(expected);
  }
});

test("a combination is added in f64 and rounded once", () => {
  const file = new MemoryFile();
  const stored = file.add(Float32Array.of(1, 2 ** -30, -1, 2 ** -60), "F32");
  const term = { tensor: 0, row: 0, rows: 4, weight: 1 };
  const segments: readonly RowSegment[] = [{ kind: "combination", count: 1, terms: [term] }];
  const input: Mapped = { ...stored, rows: { tensors: [{ ...stored, rows: 4 }], columns: 1, segments } };
  const { values } = readTiles(pieceInput(input), [1, 1], file.bytes, [1]);
  // f64 keeps 2⁻³⁰ beside 1, and f32 would lose it; what is rounded away in the end is 2⁻⁶⁰.
  expect([...values]).toEqual([2 ** -30]);
});

test("rows of padding are computed once, however many there are and wherever they stand", () => {
  const columns = 24;
  const padding = { kind: "combination", terms: [{ tensor: 0, row: 0, rows: 50, weight: 0.02 }] } as const;
  const segments: readonly RowSegment[] = [
    { ...padding, count: 40 },
    { kind: "run", count: 1, tensor: 1, row: 5 },
    { ...padding, count: 40 },
  ];
  const { input, shape, file } = build(columns, segments);
  const { bytesRead, values } = readTiles(pieceInput(input), shape, file, [100]);
  expect(bytesRead).toBe(50 * columns * 2 + columns * 4);
  expect(bitsOf(values)).toEqual(bitsOf(expectedValues(input, shape, file)));
});

test("consecutive rows are read at once, and rows that nothing asks for are not read", () => {
  const { input, shape, file } = build(10, [
    { kind: "run", count: 30, tensor: 1, row: 10 },
    { kind: "zero", count: 100 },
  ]);
  expect(readTiles(pieceInput(input), shape, file, [1300]).bytesRead).toBe(30 * 10 * 4);
});

test("two inputs of a piece may combine rows of the same numbers from different tensors", () => {
  const file = new MemoryFile();
  const inputs = [3, 5].map((value) => {
    const stored = file.add(Float32Array.of(value, value), "F32");
    const term = { tensor: 0, row: 0, rows: 2, weight: 0.5 };
    const segments: readonly RowSegment[] = [{ kind: "combination", count: 1, terms: [term] }];
    return pieceInput({ ...stored, rows: { tensors: [{ ...stored, rows: 2 }], columns: 1, segments } });
  });
  const memory = new TileMemory(1 << 20);
  const read = (_: number, into: Uint8Array, position: number): void => {
    into.set(file.bytes.subarray(position, position + into.length));
  };
  const context = new ReadContext(memory, read, () => undefined);
  const tile = memory.allocate(4 * (2 + tileSlack), "two tiles");
  openInputs(inputs, [1, 1], context, new CombinedRows()).forEach((reader, i) => {
    reader.read(0, 1, tile + 4 * i);
  });
  expect([...new Float32Array(memory.memory.buffer, tile, 2)]).toEqual([3, 5]);
});
