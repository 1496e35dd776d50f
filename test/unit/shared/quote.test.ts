import { expect, test } from "vitest";
import { formatCount, quote, quoteList } from "../../../shared/quote.js";

test("quote() leaves plain text and other scripts alone", () => {
  expect(quote("model.layers.0.weight")).toBe('"model.layers.0.weight"');
  expect(quote("重み é 🙂")).toBe('"重み é 🙂"');
});

test("quote() escapes what could end the quotes or act on a terminal", () => {
  expect(quote('a"b\\c')).toBe('"a\\"b\\\\c"');
  expect(quote("a\nb\r\tc")).toBe('"a\\nb\\r\\tc"');
  expect(quote("\u001b[2Jx\u0000\u007f\u009b")).toBe('"\\u001b[2Jx\\u0000\\u007f\\u009b"');
  expect(quote("\u202eevil\u2066\u200b\ufeff")).toBe('"\\u202eevil\\u2066\\u200b\\ufeff"');
  expect(quote("a\u2028b\u2029c")).toBe('"a\\u2028b\\u2029c"');
  expect(quote("\ud800")).toBe('"\\ud800"');
  expect(quote("\u{e0041}")).toBe('"\\udb40\\udc41"');
});

test("quote() writes JSON that reads back as the text", () => {
  const text = 'every\u0001"\\\u202e\u{e0041} thing';
  expect(JSON.parse(quote(text))).toBe(text);
});

test("quote() shows the two ends of a long text and its length", () => {
  const shown = quote(`start${"x".repeat(1_000_000)}end`);
  expect(shown).toMatch(/^"startx+…x+end" \(1,000,008 characters\)$/);
  expect(shown.length).toBeLessThan(200);
});

test("quoteList() names a few and counts the rest", () => {
  expect(quoteList(["a", "b"])).toBe('"a", "b"');
  expect(quoteList(["a", "b", "c", "d", "e", "f"])).toBe('"a", "b", "c", "d" and 2 more');
});

test("formatCount() groups digits by three", () => {
  expect([7, 999, 1000, 139583, 100000000].map(formatCount)).toEqual(["7", "999", "1,000", "139,583", "100,000,000"]);
});
