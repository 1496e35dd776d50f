import { expect, test } from "vitest";
import { parseRecipe } from "../../../../coordinator/recipe/parse.js";
import type { ModelReference } from "../../../../coordinator/recipe/recipe.js";

function read(reference: string): ModelReference | undefined {
  return parseRecipe(`merge_method: linear\nmodels: [{ model: ./a }]\nbase_model: ${reference}\n`, "recipe.yaml").base
    ?.value;
}

test.each<[string, ModelReference]>([
  ["org/a", { text: "org/a", path: "org/a" }],
  ["../models/a", { text: "../models/a", path: "../models/a" }],
  ["org/a@v2", { text: "org/a@v2", path: "org/a", revision: "v2" }],
  ["org/a+org/l", { text: "org/a+org/l", path: "org/a", lora: { path: "org/l" } }],
  ["./a+b", { text: "./a+b", path: "./a", lora: { path: "b" } }],
  [
    "org/a@v2+org/l@v3",
    { text: "org/a@v2+org/l@v3", path: "org/a", revision: "v2", lora: { path: "org/l", revision: "v3" } },
  ],
  ["{ model: org/a }", { text: "org/a", path: "org/a" }],
  ["{ model: org/a@v2, lora: org/l@v3 }", versioned("org/a@v2+org/l@v3")],
  ["{ model: { path: org/a, revision: v2 }, lora: { path: org/l, revision: v3 } }", versioned("org/a@v2+org/l@v3")],
  ["{ model: { path: org/a, revision: }, lora: }", { text: "org/a", path: "org/a" }],
  ["{ model: org/a, override_architecture: X }", { text: "org/a", path: "org/a" }],
  ["{ model: a+b }", { text: '"a+b"', path: "a+b" }],
  ["{ model: { path: a@b } }", { text: '"a@b"', path: "a@b" }],
  ["{ model: { path: a@b, revision: c@d } }", { text: '"a@b"@"c@d"', path: "a@b", revision: "c@d" }],
  ["'\"a+b\"'", { text: '"\\"a"+"b\\""', path: '"a', lora: { path: 'b"' } }],
])("parseRecipe() reads the model %s", (written, expected) => {
  expect(read(written)).toEqual(expected);
});

function versioned(text: string): ModelReference {
  return { text, path: "org/a", revision: "v2", lora: { path: "org/l", revision: "v3" } };
}
