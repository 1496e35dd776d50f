import { expect, test } from "vitest";
import { toText } from "../../../../../coordinator/cli/results-table.js";
import { formatEstimate, formatSeconds, formatSigned } from "../../../../../coordinator/evaluate/results/format.js";
import { summarize } from "../../../../../coordinator/evaluate/results/summary.js";
import { toMarkdown } from "../../../../../coordinator/evaluate/results/table.js";
import { madeModel, madeResult, madeTask, meanMetric, recordsOf, someRight } from "../../../../support/made-results.js";

const task = (name: string, right: number, expert: string) =>
  madeTask({ task: name, metric: meanMetric("acc"), records: recordsOf("acc", someRight(right, 100)), expert });

const summary = summarize(
  madeResult([
    madeModel("base", "base", [task("mnli", 40, "mnli"), task("sst2", 50, "sst2")]),
    madeModel("mnli", "expert", [task("mnli", 80, "mnli"), task("sst2", 60, "sst2")]),
    madeModel("sst2", "expert", [task("mnli", 35, "mnli"), task("sst2", 90, "sst2")]),
    madeModel("average", "model", [task("mnli", 60, "mnli"), task("sst2", 75, "sst2")]),
    madeModel("ties", "model", [task("mnli", 72, "mnli"), task("sst2", 81, "sst2")]),
  ]),
);

test("the table has a line per model with value, half-interval and averages, and marks the best merge", () => {
  const lines = toText(summary, { colors: false, width: 120 }).split("\n");
  expect(lines[0]?.trim().split(/ +/)).toEqual(["mnli", "sst2", "mean", "mean", "worst", "lost", "vs", "best"]);
  expect(lines.slice(2, 7).map((line) => line.slice(0, 14))).toEqual([
    "  base base   ",
    "  expert mnli ",
    "  expert sst2 ",
    "  average     ",
    "* ties        ",
  ]);
  expect(lines[6]).toMatch(
    /^\* ties +0\.720 ±0\.0[89]\d {2}0\.810 ±0\.0[78]\d +0\.765 +0\.900 +0\.900 +0\.000 +0\.067$/,
  );
  expect(new Set(lines.slice(0, 7).map((line) => line.length)).size).toBe(1);
});

test.each([40, 60, 80])("no line is wider than a terminal of %i columns, and no column is lost", (width) => {
  const text = toText(summary, { colors: false, width });
  for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(width);
  expect(text.match(/^\* ties/gm)?.length).toBeGreaterThan(1);
  for (const number of ["0.720 ±", "0.810 ±", "0.765", "0.067"]) expect(text).toContain(number);
});

test("there are escape codes only where there are colours", () => {
  expect(toText(summary, { colors: false, width: 80 })).not.toContain("\u001b");
  const colored = toText(summary, { colors: true, width: 120 });
  expect(colored).toContain("\u001b[1;32m* ties");
  expect(colored).toContain("\u001b[1m0.800 ±");
});

test("names cannot act on the terminal or break the table", () => {
  const hostile = `\u001b[2J\u202e|<b>\n${"x".repeat(500)}`;
  const named = madeTask({ task: hostile, metric: meanMetric("acc"), records: recordsOf("acc", [1]) });
  const found = summarize(madeResult([madeModel(hostile, "model", [named])]));
  const text = toText(found, { colors: false, width: 100 });
  for (const act of ["\u001b", "\u202e"]) expect(text).not.toContain(act);
  expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThan(101);
  const markdown = toMarkdown(found);
  expect(markdown.split("\n")).toHaveLength(4);
  expect(markdown).toContain("\\|\\<b\\>");
});

test("Markdown has the same numbers, the best merge and each expert's own task bold", () => {
  const lines = toMarkdown(summary).split("\n");
  expect(lines[1]).toBe("| --- | --: | --: | --: | --: | --: | --: | --: |");
  expect(lines[3]).toMatch(/^\| expert mnli \| \*\*0\.800 ±0\.\d+\*\* \| 0\.600 ±/);
  expect(lines[6]).toMatch(/^\| \*\*ties\*\* \| \*\*0\.720 ±/);
});

test("a number without an interval stands alone, and no number is a dash", () => {
  expect(formatEstimate({ value: 0.5, low: NaN, high: NaN }, 3)).toBe("0.500");
  expect(formatEstimate({ value: NaN, low: NaN, high: NaN }, 3)).toBe("–");
  expect(formatEstimate({ value: Infinity, low: NaN, high: NaN }, 3)).toBe("∞");
  expect(formatEstimate(undefined, 3)).toBe("–");
});

test.each([
  [0.0123, "+0.012"],
  [-0.0123, "−0.012"],
  [0.0001, "0.000"],
  [NaN, "–"],
])("%f with its sign is %s", (value, text) => expect(formatSigned(value, 3)).toBe(text));

test.each([
  [4.25, "4.3 s"],
  [200, "3 min 20 s"],
  [7500, "2 h 05 min"],
])("%f seconds are %s", (seconds, text) => expect(formatSeconds(seconds)).toBe(text));
