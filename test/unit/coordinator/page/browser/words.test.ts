import { expect, test } from "vitest";
import {
  ago,
  bytes,
  clockTime,
  dateTime,
  duration,
  matches,
  oneLine,
  percent,
  sinceThen,
  visible,
} from "../../../../../coordinator/page/browser/words.js";

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1_500, "1.50 KB"],
  [268e6, "268 MB"],
  [1.234e12, "1.23 TB"],
])("%d bytes are %s", (count, text) => {
  expect(bytes(count)).toBe(text);
});

test.each([
  [0.31, "0.3 s"],
  [9, "9 s"],
  [42.4, "42 s"],
  [111, "2 min"],
  [7_500, "2 h 05 min"],
  [400_000, "5 d"],
  [Number.POSITIVE_INFINITY, "–"],
])("%d seconds are %s", (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});

test("what is invisible is shown, and what is long is cut", () => {
  expect(visible("a\u202eb\u0000c\nd")).toBe("a\\u{202e}b\\u{0}c\nd");
  expect(oneLine("a\nb")).toBe("a b");
  expect(oneLine("x".repeat(1_000), 10)).toBe("xxxxxxxxxx…");
  expect(visible("Größe 模型 مزيج 🙂")).toBe("Größe 模型 مزيج 🙂");
});

test("times that nobody can read are shown as they are", () => {
  expect(ago("<b>soon</b>", 0)).toBe("<b>soon</b>");
  expect(ago(new Date(60_000).toISOString(), 0)).toBe("just now");
});

test("a time of another day has its date, and what is in the future has no age", () => {
  const at = new Date(2026, 10, 21, 9, 5, 7);
  expect(clockTime(at.toISOString(), at.getTime() + 60_000)).toBe("09:05:07");
  expect(clockTime(at.toISOString(), at.getTime() + 86_400_000)).toBe("11-21 09:05");
  expect(dateTime(at.toISOString())).toBe("2026-11-21 09:05:07");
  expect(clockTime("soon", 0)).toBe("soon");
  expect(sinceThen(at.toISOString(), at.getTime() + 7_400)).toBe("for 7 s");
  expect(sinceThen(at.toISOString(), at.getTime() - 3_600_000)).toBe("for 0 s");
});

test("no share is more than all, and none is all before it is", () => {
  expect([percent(0.999), percent(1.2), percent(-1)]).toEqual(["99 %", "100 %", "0 %"]);
  expect(matches(" Gpu ", undefined, "my-gpu-1")).toBe(true);
  expect(matches("gpu", undefined)).toBe(false);
});
