import { expect, test } from "vitest";
import type { StoredTensor } from "../../../../coordinator/plan/types.js";
import { TileMemory } from "../../../../node-agent/compute/wasm/memory.js";
import { type ComputableDtype, computableDtypes } from "../../../../shared/checkpoint/dtypes.js";
import { normals, seeded, wildValues } from "../../../support/random.js";
import { bitsOf, expectedValues, MemoryFile, pieceInput, readTiles } from "../../../support/readers.js";

interface LowRankCase {
  readonly rows: number;
  readonly columns: number;
  readonly ranks: readonly number[];
  readonly transposed: boolean;
  readonly dtypes: readonly [w: ComputableDtype, a: ComputableDtype, b: ComputableDtype];
  readonly values?: typeof normals;
}

function build({ rows, columns, ranks, transposed, dtypes, values = normals }: LowRankCase, seed = 1) {
  const random = seeded(seed);
  const file = new MemoryFile();
  const [high, wide] = transposed ? [columns, rows] : [rows, columns];
  const w = file.add(values(rows * columns, random), dtypes[0]);
  const updates = ranks.map((rank, i) => ({
    a: file.add(values(rank * wide, random), dtypes[1]),
    b: file.add(values(high * rank, random), dtypes[2]),
    rank,
    scale: 0.3 * (i + 1),
    transposed,
  }));
  const input: StoredTensor = { ...w, updates };
  return { input, shape: [rows, columns], file: file.bytes };
}

function assertSame(given: LowRankCase, tiles: readonly number[]): void {
  const { input, shape, file } = build(given);
  const { values } = readTiles(pieceInput(input), shape, file, tiles);
  expect(bitsOf(values)).toEqual(bitsOf(expectedValues(input, shape, file)));
}

const orientations = [
  ["W as out x in", false],
  ["W as in x out", true],
] as const;

test.each(orientations)("2 x 3 by hand, %s", (_, transposed) => {
  const file = new MemoryFile();
  const [a, b] = [Float32Array.of(1, 2, 3), Float32Array.of(10, 20)];
  const w = file.add(Float32Array.of(1, 1, 1, 1, 1, 1), "F32");
  const stored = transposed ? [file.add(b, "F32"), file.add(a, "F32")] : [file.add(a, "F32"), file.add(b, "F32")];
  const [first = w, second = w] = stored;
  const updates = [{ a: first, b: second, rank: 1, scale: 0.5, transposed }];
  const { values } = readTiles(pieceInput({ ...w, updates }), [2, 3], file.bytes, [6]);
  expect([...values]).toEqual([6, 11, 16, 11, 21, 31]);
});

for (const [name, transposed] of orientations) {
  const sizes = [
    [1, 1, 1],
    [3, 5, 2],
    [7, 16, 3],
    [5, 17, 8],
    [9, 31, 33],
    [2, 100, 4],
    [64, 3, 5],
  ] as const;
  test.each(sizes)(`%i x %i of rank %i equals the reference bit for bit, ${name}`, (rows, columns, rank) => {
    const given: LowRankCase = { rows, columns, ranks: [rank], transposed, dtypes: ["F32", "F32", "F32"] };
    assertSame(given, [rows * columns]);
    assertSame({ ...given, values: wildValues }, [rows * columns]);
  });

  test.each(computableDtypes)(`%s for W, A and B, ${name}`, (dtype) => {
    const given = { rows: 21, columns: 37, ranks: [6], transposed };
    for (const place of [0, 1, 2]) {
      const dtypes = (["BF16", "F32", "F16"] as const).map((usual, i) => (i === place ? dtype : usual));
      assertSame({ ...given, dtypes: dtypes as unknown as LowRankCase["dtypes"] }, [200, 77]);
    }
  });

  test(`tiles and cuts leave no trace, ${name}`, () => {
    const given: LowRankCase = { rows: 40, columns: 53, ranks: [7], transposed, dtypes: ["BF16", "F32", "BF16"] };
    for (const tiles of [[2120], [1], [52, 53, 54], [53], [106, 20], [999], [16, 5]]) assertSame(given, tiles);
  });

  test(`several updates are added in order, ${name}`, () => {
    assertSame({ rows: 11, columns: 29, ranks: [3, 9, 1], transposed, dtypes: ["F32", "F32", "F32"] }, [100]);
  });

  test(`a rank above what is read at once, ${name}`, () => {
    assertSame({ rows: 9, columns: 21, ranks: [30_000], transposed, dtypes: ["F32", "BF16", "BF16"] }, [50]);
  });
}

test("a factor that does not fit the worker's memory is a typed error that names it", () => {
  const { input, shape, file } = build({
    rows: 8,
    columns: 4096,
    ranks: [64],
    transposed: false,
    dtypes: ["F32", "F32", "F32"],
  });
  expect(() => readTiles(pieceInput(input), shape, file, [4096], new TileMemory(1 << 20))).toThrow(
    expect.objectContaining({
      code: "out_of_memory",
      message: expect.stringContaining("Cannot hold a low-rank factor of 64 x 4096"),
    }),
  );
});

test("what is counted is what was read: W and B once, A once however many tiles there are", () => {
  const given: LowRankCase = { rows: 30, columns: 40, ranks: [4], transposed: false, dtypes: ["BF16", "F32", "F32"] };
  const { input, shape, file } = build(given);
  const { bytesRead } = readTiles(pieceInput(input), shape, file, [80]);
  expect(bytesRead).toBe(30 * 40 * 2 + 4 * 40 * 4 + 30 * 4 * 4);
});
