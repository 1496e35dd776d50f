import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { rowLimits } from "../../../../../coordinator/evaluate/data/limits.js";
import { readParquetFile } from "../../../../../coordinator/evaluate/data/parquet-file.js";

const good = fileURLToPath(new URL("../../../../../../test/fixtures/evaluate-data/snappy.parquet", import.meta.url));
const task = { rows: Number.POSITIVE_INFINITY, limits: rowLimits };

test("no damage of one byte makes reading Parquet fail without a word about the file", async () => {
  const folder = await mkdtemp(join(tmpdir(), "parquet-file-"));
  const path = join(folder, "damaged.parquet");
  const content = await readFile(good);
  const outcomes = { read: 0, refused: 0 };
  for (let at = 0; at < content.length; at += 101) {
    const damaged = Buffer.from(content);
    damaged[at] = (damaged[at] ?? 0) ^ 0x55;
    await writeFile(path, damaged);
    try {
      for await (const chunk of readParquetFile({ ...task, path }, () => undefined)) expect(chunk.rows).not.toEqual([]);
      outcomes.read += 1;
    } catch (error) {
      expect(error).toMatchObject({ code: "usage", details: { place: path } });
      expect(error).toHaveProperty("message", expect.stringContaining(path));
      outcomes.refused += 1;
    }
  }
  await rm(folder, { recursive: true });
  expect(outcomes.read).toBeGreaterThan(0);
  expect(outcomes.refused).toBeGreaterThan(0);
});
