import { expect, test } from "vitest";
import { formatAge, formatSeconds, parseDuration } from "../../../../coordinator/cli/duration.js";

test.each([
  [0, "0s"],
  [0.2, "1s"],
  [59, "59s"],
  [75, "1m15s"],
  [3_600, "1h00m"],
  [90_000, "25h00m"],
  [200_000, "2d07h"],
])("formatSeconds(%d) is %s", (seconds, text) => {
  expect(formatSeconds(seconds)).toBe(text);
});

test.each([
  ["2026-01-01T00:00:00Z", "1m00s"],
  ["2026-01-01T00:02:00Z", "0s"],
  ["yesterday", "?"],
])("formatAge() of %s, a minute past midnight, is %s", (at, text) => {
  expect(formatAge(at, Date.parse("2026-01-01T00:01:00Z"))).toBe(text);
});

test.each([
  ["30s", 30_000],
  [" 10 m ", 600_000],
  ["1.5h", 5_400_000],
  ["2d", 172_800_000],
  ["10", undefined],
  ["-1s", undefined],
  ["1m30s", undefined],
  ["9999999999d", undefined],
  ["", undefined],
])("parseDuration(%j) is %j", (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});
