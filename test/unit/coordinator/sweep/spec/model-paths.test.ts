import { expect, test } from "vitest";
import { openDocument, textOf } from "../../../../../coordinator/sweep/spec/document.js";
import { movePaths, pathFrom } from "../../../../../coordinator/sweep/spec/model-paths.js";

test.each([
  ["in the sweep's folder", "/w/sweep/out", "/w/sweep/models/a", "../models/a"],
  ["beside the sweep's folder", "/w/sweep/out", "/w/models/a", "../../models/a"],
  ["from beside the sweep's folder", "/w/out", "/w/sweep/a", "../sweep/a"],
  ["far from the sweep", "/w/sweep/out", "/models/a", "/models/a"],
  ["for a recipe far from the sweep", "/elsewhere", "/w/sweep/a", "/w/sweep/a"],
  ["that begins like the sweep's folder", "/w/sweep/out", "/w2/a", "/w2/a"],
])("the path of a model %s", (_, folder, target, path) => {
  expect(pathFrom(folder, "/w/sweep", target)).toBe(path);
});

test("what only shares the root is not moved together", () => {
  expect(pathFrom("/out", "/sweep", "/models/a")).toBe("/models/a");
});

test("every reference to a folder is moved, and nothing else", () => {
  const document = openDocument(`
base_model: base
models:
  - model: a@v1+lora@v2
  - model: { model: { path: a }, lora: { path: lora } }
  - model: org/name
tokenizer:
  source: base
  tokens:
    x: { source: base }
    y: { source: { kind: model_token, model: a, token: base } }
chat_template: base
name: a
`);
  const folders = new Map(["base", "a", "lora"].map((name) => [name, `/w/sweep/${name}`]));
  movePaths(document, folders, "/w/sweep", "/w/out");
  expect(textOf(document).trim()).toBe(
    `
base_model: ../sweep/base
models:
  - model: ../sweep/a@v1+../sweep/lora@v2
  - model: { model: { path: ../sweep/a }, lora: { path: ../sweep/lora } }
  - model: org/name
tokenizer:
  source: base
  tokens:
    x: { source: ../sweep/base }
    y: { source: { kind: model_token, model: ../sweep/a, token: base } }
chat_template: base
name: a
`.trim(),
  );
});

test("a path with a sign of the language in it is written as a mapping", () => {
  const document = openDocument("base_model: base\nmodels:\n  - model: base+lora\n");
  const folders = new Map([
    ["base", "/data/a+b/base"],
    ["lora", "/data/lora"],
  ]);
  movePaths(document, folders, "/w/sweep", "/w/out");
  expect(document.toJS()).toEqual({
    base_model: { model: { path: "/data/a+b/base" } },
    models: [{ model: { model: { path: "/data/a+b/base" }, lora: { path: "/data/lora" } } }],
  });
});
