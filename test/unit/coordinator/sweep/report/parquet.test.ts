import { parquetMetadata, parquetReadObjects } from "hyparquet";
import { expect, test } from "vitest";
import { trialsParquet } from "../../../../../coordinator/sweep/report/parquet.js";
import { madeTrial } from "../../../../support/made-trials.js";

test("every field of a trial is a column of its type, and comes back to the bit", async () => {
  const first = madeTrial(1, { x: 0.1 + 0.2, on: true, method: "ties" }, 0.1 + 0.7);
  const { facts: _, weights: __, ...rest } = madeTrial(2, { x: 1, on: false, method: 2 }, Number.NaN);
  const failure = { code: "out_of_memory", message: 'no room for "ä"' };
  const second = { ...rest, status: "failed" as const, failure, metrics: {}, retried: true };
  const bytes = trialsParquet([first, second]);
  const file = bytes.slice().buffer;
  const [one, two] = await parquetReadObjects({ file });
  expect(one).toMatchObject({
    ...{ trial: 1, status: "done", rung: 0, "objective.acc": 0.1 + 0.7, loss: -(0.1 + 0.7), violation: 0 },
    ...{ "point.x": 0.1 + 0.2, "point.on": true, "point.method": "ties", "metric.a.b.acc": 0.1 + 0.7 },
    ...{ agent: "one", attempts: 1, "seconds.merge": 0.5, peak_bytes: 2n ** 40n, retried: false, failure: null },
    started_at: new Date("2026-01-02T03:04:05.678Z"),
  });
  expect(two).toMatchObject({
    ...{ trial: 2, status: "failed", "objective.acc": Number.NaN, "point.on": false, "point.method": "2" },
    ...{ "metric.a.b.acc": null, agent: null, peak_bytes: null, retried: true },
    ...{ failure_code: "out_of_memory", failure: 'no room for "ä"' },
  });
  const types = new Map(parquetMetadata(file).schema.map(({ name, type }) => [name, type]));
  expect(["trial", "point.x", "point.on", "peak_bytes", "status"].map((name) => types.get(name))).toEqual([
    ...["INT32", "DOUBLE", "BOOLEAN", "INT64", "BYTE_ARRAY"],
  ]);
});

test("a sweep without trials is a table without rows", async () => {
  expect(await parquetReadObjects({ file: trialsParquet([]).slice().buffer })).toEqual([]);
});
