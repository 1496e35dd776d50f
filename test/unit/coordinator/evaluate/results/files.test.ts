import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readResults } from "../../../../../coordinator/evaluate/results/read.js";
import { writeResults } from "../../../../../coordinator/evaluate/results/write.js";
import type { EvaluationResult, TaskResult } from "../../../../../coordinator/evaluate/types.js";
import { withTempDir } from "../../../../support/checkpoints.js";
import { madeModel, madeResult, madeTask, meanMetric } from "../../../../support/made-results.js";

const records = [
  { id: "a", scores: { acc: 1, logprob: Number.NaN }, prediction: "</script>\u2028\n\"'", answer: { labels: [1, 2] } },
  { id: "b", scores: { acc: 0, logprob: Number.NEGATIVE_INFINITY }, prediction: null },
  { id: "c", scores: {} },
];
const task: TaskResult = {
  ...madeTask({ task: "t", metric: meanMetric("acc"), records, expert: "e" }),
  settings: { at: 5, scores: { acc: "higher" } },
};
const empty = madeTask({ task: "none", metric: meanMetric("acc"), records: [] });
const result: EvaluationResult = madeResult([
  madeModel("e", "expert", [task, empty]),
  madeModel("m", "model", [{ ...task, records: records.slice(0, 1) }]),
]);

async function written() {
  const folder = await withTempDir();
  const directory = join(folder.path, "deep", "results");
  await writeResults(directory, result);
  const edit = async (name: string, change: (text: string) => string): Promise<void> => {
    const path = join(directory, name);
    await writeFile(path, change(await readFile(path, "utf8")));
  };
  const failure = async (): Promise<{ code: string; message: string }> => {
    const error = await readResults(directory).then(
      () => expect.unreachable("it was read"),
      (reason: { code: string; message: string }) => reason,
    );
    return { code: error.code, message: error.message.replaceAll(`${directory}/`, "") };
  };
  return { directory, edit, failure, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

test("what is written is read back as it was, NaN and infinities among it", async () => {
  await using work = await written();
  expect((await readdir(work.directory)).sort()).toEqual(["records.jsonl", "report.html", "results.json"]);
  expect(await readResults(work.directory)).toEqual(result);
});

test("results.json has the summary and no records; records.jsonl has a line for each", async () => {
  await using work = await written();
  const file = JSON.parse(await readFile(join(work.directory, "results.json"), "utf8"));
  expect(file).toMatchObject({
    format: "amalgam-results",
    version: 1,
    models: [{ tasks: [{ records: 3 }, { records: 0 }] }, { tasks: [{ records: 1 }] }],
    summary: { tasks: [{ name: "t" }, { name: "none" }] },
  });
  const lines = (await readFile(join(work.directory, "records.jsonl"), "utf8")).split("\n");
  expect(lines).toHaveLength(5);
  expect(JSON.parse(lines[1] ?? "")).toEqual({
    model: "e",
    task: "t",
    id: "b",
    scores: { acc: 0, logprob: "-Infinity" },
    prediction: null,
  });
});

test("the same result gives the same bytes", async () => {
  await using first = await written();
  await using second = await written();
  for (const name of await readdir(first.directory)) {
    expect(await readFile(join(second.directory, name))).toEqual(await readFile(join(first.directory, name)));
  }
});

test.each([
  ["a line that is cut", "records.jsonl", (text: string) => text.slice(0, -10), /^records\.jsonl:4 {2}Not JSON: "/],
  [
    "a missing line",
    "records.jsonl",
    (text: string) => text.slice(text.indexOf("\n") + 1),
    /model "e", task "t": there are 2, results\.json says 3$/,
  ],
  [
    "a surplus line",
    "records.jsonl",
    (text: string) => text + text.split("\n")[0],
    /^records\.jsonl {2}Wrong number .*there are 4/,
  ],
  [
    "an unknown model",
    "records.jsonl",
    (text: string) => text.replace('"e"', '"x"'),
    /^records\.jsonl:1 {2}results\.json has no model "x" with task "t"$/,
  ],
  ["an unknown field", "records.jsonl", (text: string) => text.replace('"id"', '"idea"'), /^records\.jsonl:1 {2}Field/],
  [
    "a score that is a word",
    "records.jsonl",
    (text: string) => text.replace('"acc":1', '"acc":"high"'),
    /^records\.jsonl:1 {2}Field "scores\.acc"/,
  ],
  [
    "another version",
    "results.json",
    (text: string) => text.replace('"version": 1', '"version": 2'),
    /^results\.json {2}Results of version 2 are not readable here, only version 1$/,
  ],
  ["another format", "results.json", () => '{"format":"other"}', /^results\.json {2}Field "format"/],
  ["no JSON", "results.json", () => "\u001b[2J", /^results\.json {2}Not JSON: "\\u001b\[2J"$/],
  ["null", "results.json", () => "null", /^results\.json {2}Field ""/],
  [
    "an unknown kind",
    "results.json",
    (text: string) => text.replace('"classification"', '"guess"'),
    /Field "models\.0\.tasks\.0\.kind"/,
  ],
])("%s is refused with its place", async (_, name, change, message) => {
  await using work = await written();
  await work.edit(name, change);
  expect(await work.failure()).toEqual({ code: "usage", message: expect.stringMatching(message) });
});

test.each(["results.json", "records.jsonl"])("a folder without %s is refused by name", async (name) => {
  await using work = await written();
  await rm(join(work.directory, name));
  expect((await work.failure()).message).toMatch(new RegExp(`Cannot open "${name}": it does not exist`));
});

test("a folder that cannot be written is named", async () => {
  await using folder = await withTempDir();
  const path = join(folder.path, "file");
  await writeFile(path, "");
  await expect(writeResults(join(path, "below"), result)).rejects.toThrow(/^Cannot write results to ".*below": /);
});
