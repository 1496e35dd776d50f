import { expect, test } from "vitest";
import { printable, printableLines } from "../../../../coordinator/cli/printable.js";
import { formatTable } from "../../../../coordinator/cli/table.js";

test("formatTable() aligns columns and leaves no blanks at the ends of lines", () => {
  const rows = [
    ["a", "running"],
    ["merged-7f3a9c", "-"],
  ];
  expect(formatTable(["JOB", "STATE"], rows)).toBe("JOB            STATE\na              running\nmerged-7f3a9c  -\n");
});

test("a cell cannot break its line or speak to the terminal", () => {
  expect(formatTable(["JOB"], [["a\nb\u001b[2J\u202e"]])).toBe("JOB\na\\nb\\u001b[2J\\u202e\n");
});

test("printable() leaves quotes, backslashes and letters of all languages alone", () => {
  expect(printable('"C:\\модели" 模型')).toBe('"C:\\модели" 模型');
  expect(printable("a\tb\u2028c\ud800")).toBe("a\\tb\\u2028c\\ud800");
});

test("printableLines() keeps line breaks and nothing else", () => {
  expect(printableLines("a\nb\r\u0007")).toBe("a\nb\\r\\u0007");
});
