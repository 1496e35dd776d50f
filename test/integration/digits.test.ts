import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, expect, test } from "vitest";
import { readResults } from "../../coordinator/evaluate/results/read.js";
import { type Summary, summarize } from "../../coordinator/evaluate/results/summary.js";
import { withTempDir } from "../support/checkpoints.js";
import { repositoryPath } from "../support/repository.js";

// The example in examples/digits as `npm start` runs it: its merges, and the scores it prints. Training again moves the
// figures a little, so what is asserted is how they compare.

const tasks = ["rotated", "inverted", "mirrored", "sheared", "noisy"] as const;

let printed: string;
let summary: Summary;

beforeAll(async () => {
  await using folder = await withTempDir();
  const demo = repositoryPath("dist", "examples", "digits", "demo.js");
  const { stdout } = await promisify(execFile)(process.execPath, [demo, "--markdown", "--output", folder.path]);
  printed = stdout;
  summary = summarize(await readResults(join(folder.path, "scores")));
});

/** Right answers of a model, from 0 to 1. */
function accuracy(model: string, task: string): number {
  const column = summary.tasks.findIndex(({ name }) => name === task);
  return summary.models.find(({ name }) => name === model)?.cells[column]?.estimate.value ?? Number.NaN;
}

test("the example scores the base, five experts and six merges on every task", () => {
  expect(summary.tasks.map(({ name }) => name)).toEqual(tasks);
  expect(summary.models.map(({ role }) => role)).toEqual([
    "base",
    ...Array(5).fill("expert"),
    ...Array(6).fill("model"),
  ]);
  for (const { cells } of summary.models) for (const cell of cells) expect(cell?.estimate.value).toBeGreaterThan(0);
});

test("it prints the table, each model a row", () => {
  const rows = printed.split("\n").filter((line) => line.startsWith("|"));
  for (const { name } of summary.models) expect(rows.filter((row) => row.includes(name)).length).toBeGreaterThan(0);
  expect(printed).not.toContain("NaN");
});

test.each(tasks)("the expert for %s images beats the base on them by five points or more", (task) => {
  expect(accuracy(task, task)).toBeGreaterThanOrEqual(accuracy("base", task) + 0.05);
});

test("the main merge is the best one, and beats the base and every expert on average", () => {
  expect(summary.bestMerge).toBe("task-arithmetic");
  expect(summary.models.find(({ name }) => name === summary.bestMerge)?.gapToBestSingle).toBeGreaterThan(0.05);
});
