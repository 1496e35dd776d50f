import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { ResultTable } from "../../../../examples/digits/table.js";

const table = new ResultTable(
  ["up", "down"],
  [
    { kind: "base", name: "base", accuracies: [0.5, 0.25] },
    { kind: "expert", name: "down", accuracies: [0.5, 1] },
    { kind: "merge", name: "one", accuracies: [0.6, 0.6] },
    { kind: "merge", name: "other", accuracies: [0.9, 0.5] },
  ],
);

const text = [
  "                  up   down  average",
  "  base          50.0   25.0     37.5",
  "  expert down   50.0  100.0     75.0",
  "  merge one     60.0   60.0     60.0",
  "  merge other   90.0   50.0     70.0  best merge",
].join("\n");

test("a result table lines its columns up and says which merge is best", () => {
  expect(table.toText({ colors: false })).toBe(text);
  expect(table.best?.name).toBe("other");
});

test("colours change nothing but colours", () => {
  const colored = table.toText({ colors: true });
  expect(colored).not.toBe(text);
  expect(stripVTControlCharacters(colored)).toBe(text);
});

test("as Markdown, an expert's own task and the best merge are bold", () => {
  expect(table.toMarkdown().split("\n")).toEqual([
    "|  | up | down | average |",
    "| --- | --: | --: | --: |",
    "| base | 50.0 | 25.0 | 37.5 |",
    "| expert down | 50.0 | **100.0** | 75.0 |",
    "| merge one | 60.0 | 60.0 | 60.0 |",
    "| **merge other** | **90.0** | **50.0** | **70.0** |",
  ]);
});
