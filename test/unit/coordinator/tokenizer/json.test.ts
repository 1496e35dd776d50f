import { expect, test } from "vitest";
import { formatJson, parseJsonObject } from "../../../../coordinator/tokenizer/json.js";

test.each([
  ["large whole numbers", '{\n  "model_max_length": 1000000000000000019884624838656\n}\n'],
  ["strings that look like numbers", '{\n  "a": "b\\": 1e+30",\n  "c": [\n    "1e+30"\n  ]\n}\n'],
  ["keys of all kinds", '{\n  "1": 0,\n  "__proto__": 1,\n  "\\"": 2\n}\n'],
])("%s come out as they went in", (_, text) => {
  const printed = formatJson(parseJsonObject(Buffer.from(text), "file"), "file");
  expect(Buffer.from(printed).toString()).toBe(text);
});

test("what is nested too deeply is refused, not a crash", () => {
  const deep = `{"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}`;
  expect(() => formatJson(parseJsonObject(Buffer.from(deep), "file"), "file")).toThrow(
    /^Cannot read tokenizer "file": it is/,
  );
});

test("text that is not UTF-8 is refused", () => {
  expect(() => parseJsonObject(Buffer.from([0x7b, 0xff, 0x7d]), "file")).toThrow("it is not JSON");
});
