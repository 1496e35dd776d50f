import { expect, test } from "vitest";
import { JsonScanner } from "../../../../shared/checkpoint/json-scanner.js";
import { StringTable } from "../../../../shared/checkpoint/string-table.js";

function textOf(table: StringTable, text: string, hash: number): string {
  const bytes = Buffer.from(`…${text}…`);
  return table.ascii(bytes, 3, 3 + text.length, hash);
}

const names = Array.from({ length: 3_000 }, (_, i) => `model.layers.${i}.mlp.weight`);

test.each([
  ["of its own", (i: number) => Math.imul(i + 1, 0x9e3779b1)],
  ["that some others have", (i: number) => i % 700],
  ["that all have", () => 7],
  ["below zero", (i: number) => -i],
])("every text is itself, with a hash %s, as the table grows", (_, hashOf) => {
  const table = new StringTable();
  for (let round = 0; round < 2; round += 1) {
    expect(names.map((name, i) => textOf(table, name, hashOf(i)))).toEqual(names);
  }
});

test("a table that may not grow any more gives every text as it is", () => {
  const table = new StringTable(1 << 10);
  for (let round = 0; round < 2; round += 1) {
    expect(names.map((name, i) => textOf(table, name, Math.imul(i + 1, 0x9e3779b1)))).toEqual(names);
  }
});

test("texts that begin alike, and none, are told apart", () => {
  const table = new StringTable();
  const texts = ["", "a", "ab", "abc", "b", "x".repeat(255), "x".repeat(256), "x".repeat(257)];
  for (const text of [...texts, ...texts]) expect(textOf(table, text, 1)).toBe(text);
});

test("a scanner reads the same strings with a table and without", () => {
  const written = ["", "a", "a", "é", "\\u0061", 'quoted \\"a\\"', "line\\n", "model.embed_tokens.weight"];
  const bytes = Buffer.from(written.map((text) => `"${text}"`).join(" "));
  const refuse = (problem: string): Error => new Error(problem);
  const read = (table?: StringTable): readonly string[] => {
    const scanner = new JsonScanner(bytes, refuse, table);
    return written.map(() => scanner.string(100));
  };
  const table = new StringTable();
  expect(read()).toEqual(["", "a", "a", "é", "a", 'quoted "a"', "line\n", "model.embed_tokens.weight"]);
  expect(read(table)).toEqual(read());
  expect(read(table)).toEqual(read());
});
