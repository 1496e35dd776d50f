import { expect, test } from "vitest";
import { editConfig } from "../../../../coordinator/assemble/config-edit.js";

const config = `{
  "rope_theta": 10000.0, "big": 12345678901234567890,
  "text_config": {
    "num_hidden_layers": 4,
    "scales": [
      1.0,
      0.5,
      2e0
    ]
  },
  "limits": [0.0, Infinity, NaN],  "é": "\\u00e9",
    "vocab_size" : 100
}
`;

test.each([
  ["a number", ["vocab_size"], 101, '"vocab_size" : 100', '"vocab_size" : 101'],
  ["a string with quotes", ["vocab_size"], 'a"b', '"vocab_size" : 100', '"vocab_size" : "a\\"b"'],
  ["null", ["rope_theta"], null, "10000.0", "null"],
  ["a nested number", ["text_config", "num_hidden_layers"], 7, 'layers": 4', 'layers": 7'],
  ["an object by a value", ["text_config"], true, /"text_config": \{[^}]*\}/, '"text_config": true'],
  ["a value behind an escaped key", ["é"], "e", '"\\u00e9"', '"e"'],
  ["a missing key", ["new"], 1, '" : 100', '" : 100,\n    "new": 1'],
  ["a missing nested key", ["text_config", "vocab_size"], 1, "2e0\n    ]", '2e0\n    ],\n    "vocab_size": 1'],
  ["a missing object", ["vision", "depth"], 1, '" : 100', '" : 100,\n    "vision": {"depth":1}'],
])("%s is set, and not one other byte changes", (_, path, value, from, to) => {
  const edited = editConfig(config, [{ path, value }]);
  expect(edited).toBe(config.replace(from, to));
  expect(edited).not.toBe(config);
});

test("a list keeps its line breaks, and items that stay keep how they are written", () => {
  const edits = [
    { path: ["text_config", "scales"], value: [1, 2, 2, 3] },
    { path: ["limits"], value: [Number.POSITIVE_INFINITY, 0] },
  ];
  expect(editConfig(config, edits)).toBe(
    config
      .replace("1.0,\n      0.5,\n      2e0", "1.0,\n      2e0,\n      2e0,\n      3")
      .replace("[0.0, Infinity, NaN]", "[Infinity, 0.0]"),
  );
  expect(editConfig('{"a": [\n  1\n]}', [{ path: ["a"], value: [] }])).toBe('{"a": []}');
});

test("of equal paths the last edit counts, of equal keys the last one", () => {
  const edits = [1, 2].map((value) => ({ path: ["a"], value }));
  expect(editConfig('{"a": 0, "b": 0, "a": 0}', edits)).toBe('{"a": 0, "b": 0, "a": 2}');
  expect(editConfig('{"a": {"b": 0}, "a": {}}', [{ path: ["a", "b"], value: 1 }])).toBe(
    '{"a": {"b": 0}, "a": {"b": 1}}',
  );
});

test.each([
  ["{}", '{"a": 1}'],
  ["{ }", '{"a": 1 }'],
  ['{"b":2}', '{"b":2,"a": 1}'],
  ['{\n\t"b": {}\n}', '{\n\t"b": {},\n\t"a": 1\n}'],
])("into %j a key is added as its neighbours are", (text, expected) => {
  expect(editConfig(text, [{ path: ["a"], value: 1 }])).toBe(expected);
});

test("without edits the text stays as it is", () => {
  expect(editConfig(config, [])).toBe(config);
});

test.each([
  ["[]", ["a"], 'has "[" where it should have "{"'],
  ['{"a": 1', ["a"], "the end"],
  ['{"a": [1]}', ["a", "b"], '"a" in it is no object'],
  [`{"a": ${"[".repeat(70)}${"]".repeat(70)}}`, ["a"], "nested more than 64 deep"],
  [`{"b": ${'{"b":'.repeat(70)}0${"}".repeat(71)}`, ["a"], "nested more than 64 deep"],
])("%j cannot be edited, and the reason is told", (text, path, reason) => {
  expect(() => editConfig(text, [{ path, value: 1 }])).toThrow(reason);
});
