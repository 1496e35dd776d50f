import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { beforeAll, expect, test } from "vitest";
import { withTempDir } from "../support/checkpoints.js";
import { repositoryPath } from "../support/repository.js";

// The example in examples/digits as `npm start` runs it: its merges, and the scores it prints. Training again moves the
// figures a little, so what is asserted is how they compare.

const tasks = ["rotated", "inverted", "mirrored", "sheared", "noisy"] as const;
const mainMerge = "merge task-arithmetic";

/** Percentages by model; the average comes last. */
let table: ReadonlyMap<string, readonly number[]>;

beforeAll(async () => {
  await using folder = await withTempDir();
  const demo = repositoryPath("dist", "examples", "digits", "demo.js");
  const { stdout } = await promisify(execFile)(process.execPath, [demo, "--markdown", "--output", folder.path]);
  table = parseTable(stdout);
});

function parseTable(markdown: string): ReadonlyMap<string, readonly number[]> {
  const [header, , ...rows] = markdown
    .trim()
    .split("\n")
    .map((line) =>
      line
        .replaceAll("*", "")
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  expect(header).toEqual(["", ...tasks, "average"]);
  return new Map(rows.map(([name = "", ...figures]) => [name, figures.map(Number)]));
}

function figure(model: string, column: number): number {
  return table.get(model)?.at(column) ?? Number.NaN;
}

test("the example scores the base, five experts and six merges on every task", () => {
  const kinds = [...table.keys()].map((model) => model.split(" ")[0]);
  expect(kinds).toEqual(["base", ...Array(5).fill("expert"), ...Array(6).fill("merge")]);
  for (const figures of table.values()) {
    expect(figures).toHaveLength(tasks.length + 1);
    for (const percentage of figures) expect(percentage).toBeGreaterThan(0);
  }
});

test.each(tasks)("the expert for %s images beats the base on them by five points or more", (task) => {
  const column = tasks.indexOf(task);
  expect(figure(`expert ${task}`, column)).toBeGreaterThanOrEqual(figure("base", column) + 5);
});

test("the main merge beats the base and every expert on average", () => {
  const others = ["base", ...tasks.map((task) => `expert ${task}`)].map((model) => figure(model, -1));
  expect(figure(mainMerge, -1)).toBeGreaterThan(Math.max(...others));
});
