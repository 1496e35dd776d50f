import { expect, test } from "vitest";
import { JsonScanner } from "../../../../shared/checkpoint/json-scanner.js";
import { readJsonValue } from "../../../../shared/checkpoint/json-value.js";

function scan(text: string | Uint8Array): JsonScanner {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  return new JsonScanner(bytes, (problem, at) => new SyntaxError(`${problem} @${at}`));
}

function value(text: string): unknown {
  return readJsonValue(scan(text), { duplicateKeys: "refuse" });
}

test("string() reads every kind of character and escape", () => {
  const text = 'plain "quoted" \\ / \b\f\n\r\t é 重 🙂 \u0000 \ufeff \u007f';
  expect(scan(JSON.stringify(text)).string(1000)).toBe(text);
  expect(scan('"\\u00E9\\u91cd\\uD83D\\ude42\\/"').string(1000)).toBe("é重🙂/");
  expect(scan('"\ufeffname"').string(1000)).toBe("\ufeffname");
});

test("string() refuses what is not a string of Unicode text", () => {
  const cases: readonly (readonly [string | Uint8Array, RegExp])[] = [
    ['"a\nb"', /control character/],
    ['"\\x41"', /invalid escape/],
    ['"\\u12"', /invalid escape/],
    ['"\\u00 1"', /invalid escape/],
    ['"\\ud800"', /invalid escape/],
    ['"\\udc00"', /invalid escape/],
    ['"\\ud800\\ud800"', /invalid escape/],
    ['"\\ud800x"', /invalid escape/],
    ['"open', /ends inside a string @0/],
    ['"open\\"', /ends inside a string/],
    ['"open\\', /ends inside a string/],
    ["name", /has "n" where it should have """/],
    ["", /has the end where/],
    [Uint8Array.of(0x22, 0xff, 0x22), /not valid UTF-8/],
    [Uint8Array.of(0x22, 0xc0, 0xaf, 0x22), /not valid UTF-8/],
    [Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22), /not valid UTF-8/],
    [Uint8Array.of(0x22, 0xe9, 0x22), /not valid UTF-8/],
  ];
  for (const [text, message] of cases) expect(() => scan(text).string(1000), String(text)).toThrow(message);
});

test("string() stops at its limit, not at the end of the input", () => {
  expect(scan('"12345678"').string(8)).toBe("12345678");
  expect(() => scan('"123456789"').string(8)).toThrow("a string of more than 8 bytes @0");
});

test("unsigned() reads whole numbers up to 2^53 - 1 exactly", () => {
  for (const number of [0, 7, 10, 4294967296, 900719925474099, 9007199254740990, 9007199254740991]) {
    expect(scan(`${number}`).unsigned()).toBe(number);
  }
});

test("unsigned() refuses every other way to write a number", () => {
  const refused = ["-1", "-0", "+1", "1.0", "1e3", "1E3", "01", "00", "0x10", '"1"', "null", "NaN", "", "٣"];
  for (const text of refused) {
    const number = scan(text);
    expect(() => {
      number.unsigned();
      number.end();
    }, text).toThrow(SyntaxError);
  }
  for (const text of ["9007199254740992", "18446744073709551616", "99999999999999999999", "9".repeat(1000)]) {
    expect(() => scan(text).unsigned(), text).toThrow("above 2^53 - 1");
  }
});

test("end() allows spaces only", () => {
  expect(() => scan("   ").end()).not.toThrow();
  for (const text of ["\n", " \u0000", "x"]) expect(() => scan(text).end()).toThrow(/only spaces/);
});

test("readJsonValue() agrees with JSON.parse", () => {
  const texts = [
    '{"a": [1, -2.5e3, 0.1E-2, true, false, null, "x", {}, []], "b": {"c": {"d": []}}}',
    "-0",
    '"x"',
    " [ 1 , 2 ] ",
  ];
  for (const text of texts) expect(value(text)).toEqual(JSON.parse(text));
});

test("readJsonValue() keeps keys that every object inherits", () => {
  const object = value('{"__proto__": {"x": 1}, "constructor": 2, "toString": 3}') as Record<string, unknown>;
  expect(Object.keys(object)).toEqual(["__proto__", "constructor", "toString"]);
  expect(Object.getPrototypeOf(object)).toBe(Object.prototype);
});

test("readJsonValue() reads the numbers that Python adds to JSON", () => {
  expect(value("[NaN, Infinity, -Infinity]")).toEqual([Number.NaN, Infinity, -Infinity]);
});

test("readJsonValue() refuses what JSON refuses, duplicate keys, and depth", () => {
  for (const text of [
    "{",
    "[1,]",
    '{"a":1,}',
    '{"a" 1}',
    "{1:2}",
    "01",
    "1.",
    ".5",
    "1e",
    "--1",
    "nul",
    "[1 2]",
    "'a'",
  ]) {
    expect(() => value(text), text).toThrow(SyntaxError);
  }
  expect(() => value('{"a": 1, "\\u0061": 2}')).toThrow('the key "a" twice');
  expect(() => value("[".repeat(200_000))).toThrow("nested more than 64 deep");
  expect(() => value(`[${"0,".repeat(1_000_001)}0]`)).toThrow("more than 1,000,000 values");
  expect(readJsonValue(scan('{"a": 1, "a": 2}'), { duplicateKeys: "last wins" })).toEqual({ a: 2 });
});
