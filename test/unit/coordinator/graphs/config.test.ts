import { expect, test } from "vitest";
import { ConfigReader, readLabels } from "../../../../coordinator/graphs/config.js";
import { buildGraphs } from "../../../../coordinator/graphs/families.js";
import { AmalgamError } from "../../../../shared/errors.js";

const values = {
  hidden_size: 64,
  zero: 0,
  half: 0.5,
  big: 2 ** 30,
  nothing: null,
  tied: true,
  act: "silu",
  list: [1, 2.5],
  names: ["a", "b"],
  rope: { theta: 5, kind: "yarm", far: "x".repeat(500) },
};
const config = () => new ConfigReader(values, "m/config.json");

test("buildGraphs() says of a folder without config.json that it is no model", () => {
  const request = { config: undefined, tensors: new Map(), configFile: "lora/config.json", output: "logits" } as const;
  expect(() => buildGraphs(request)).toThrow('"lora/config.json": it is not there, so this is no model');
});

test("a ConfigReader reads numbers, flags, words, lists and sections", () => {
  const read = config();
  expect(read.size("hidden_size")).toBe(64);
  expect(read.count("zero")).toBe(0);
  expect(read.number("half")).toBe(0.5);
  expect(read.flag("tied")).toBe(true);
  expect(read.word("act", undefined, ["relu", "silu"])).toBe("silu");
  expect(read.numbers("list", 2)).toEqual([1, 2.5]);
  expect(read.words("names")).toEqual(["a", "b"]);
  expect(read.section("rope")?.number("theta")).toBe(5);
  expect(read.section("none")).toBeUndefined();
});

test("null is as good as a missing key, and can be told from it", () => {
  const read = config();
  expect(read.has("nothing")).toBe(false);
  expect(read.size("nothing", 7)).toBe(7);
  expect(read.section("nothing")).toBeUndefined();
  expect([read.isNull("nothing"), read.isNull("missing")]).toEqual([true, false]);
});

test("names of Object's own methods are not keys", () => {
  expect(config().has("constructor")).toBe(false);
});

test.each<[string, (read: ConfigReader) => unknown, string]>([
  ["a missing key", (read) => read.size("width"), '"width" is missing, expected a whole number above 0'],
  ["a size of 0", (read) => read.size("zero"), '"zero" is 0, expected a whole number above 0'],
  ["a size that is not whole", (read) => read.size("half"), '"half" is 0.5, expected a whole number above 0'],
  ["a size beyond all reason", (read) => read.size("big"), '"big" is 1073741824, the limit is 16,777,216'],
  ["more than a given limit", (read) => read.size("hidden_size", 1, 32), '"hidden_size" is 64, the limit is 32'],
  ["a text for a number", (read) => read.number("act"), '"act" is "silu", expected a number'],
  ["a number for a flag", (read) => read.flag("zero"), '"zero" is 0, expected true or false'],
  ["a list for a text", (read) => read.word("list"), '"list" is [1,2.5], expected a text'],
  ["texts for numbers", (read) => read.numbers("names"), '"names" is ["a","b"], expected a list of numbers'],
  ["a list too short", (read) => read.words("names", 3), '"names" has length 2 instead of 3'],
  ["a text for a section", (read) => read.section("act"), '"act" is not an object'],
  [
    "a word that is not supported",
    (read) => read.section("rope")?.word("kind", undefined, ["yarn", "linear"]),
    '"rope.kind" is "yarm", which is not supported, only "yarn", "linear" are; did you mean "yarn"?',
  ],
])("%s is refused with file, key and value", (_, read, problem) => {
  expect(() => read(config())).toThrow(
    expect.objectContaining({
      code: "checkpoint_mismatch",
      message: `Cannot build a graph from "m/config.json": ${problem}`,
    }),
  );
});

test("a long value is cut", () => {
  const far = () => config().section("rope")?.number("far");
  expect(far).toThrow(AmalgamError);
  expect(far).toThrow(/"rope\.far" is "x{80}", expected a number$/);
});

test.each([null, [], "text"])("%j is not a config", (value) => {
  expect(() => new ConfigReader(value, "config.json")).toThrow("it is not an object");
});

test("labels come in the order of their numbers, and none may be missing", () => {
  const read = (id2label: unknown) => readLabels(new ConfigReader({ id2label }, "config.json"));
  expect(read({ 1: "yes", 0: "no" })).toEqual(["no", "yes"]);
  expect(read(undefined)).toBeUndefined();
  expect(() => read({ 0: "no", 2: "yes" })).toThrow('"id2label.1" is missing');
});
