import { expect, test } from "vitest";
import { bindParameters, type MethodParameters } from "../../../../coordinator/recipe/bind.js";
import { parseRecipe } from "../../../../coordinator/recipe/parse.js";
import { boolean, choice, integer, number, type ParameterSpec } from "../../../../shared/methods/parameter.js";
import { messageOf } from "./message-of.js";

const specs: Record<string, ParameterSpec> = {
  weight: number({ default: 1, help: "unbounded" }),
  density: number({ default: 1, min: 0, max: 1, help: "bounded" }),
  rounds: integer({ default: 5, min: 1, max: 10, help: "whole" }),
  normalize: boolean({ default: true, help: "boolean" }),
  scope: choice({ choices: ["tensor", "model", "2"], default: "tensor", help: "words" }),
  rescale: choice({
    choices: ["none", "l1"],
    default: "none",
    booleans: { true: "l1", false: "none" },
    help: "words and booleans",
  }),
};

const method: MethodParameters = { name: "stir", base: "none", perModel: {}, merge: specs, inert: {} };

/** The value of the one parameter that the text gives, for a tensor outside the layers. */
function read(parameter: string): unknown {
  const recipe = parseRecipe(
    `merge_method: stir\nmodels: [{ model: ./a }]\nparameters:\n  ${parameter}\n`,
    "recipe.yaml",
  );
  const [name = ""] = recipe.parameters.keys();
  const [slice] = bindParameters(recipe, method).modules[0]?.slices ?? [];
  return slice?.merge.get(name)?.("lm_head.weight", undefined);
}

test.each<[string, unknown]>([
  ["weight: 0.5", 0.5],
  ["weight: -2", -2],
  ["weight: '1e-3'", 0.001],
  ["weight: +.5", 0.5],
  ["weight: 0x10", 16],
  ["weight: true", 1],
  ["weight: false", 0],
  ["weight: [true, 0]", 1],
  ["density: 0", 0],
  ["density: 1.0", 1],
  ["density: [0.25, 1]", 0.25],
  ["density: [{ filter: lm_head, value: [0.75, 0] }]", 0.75],
  ["normalize: true", true],
  ["normalize: false", false],
  ["normalize: 1", true],
  ["normalize: 0.0", false],
  ["normalize: '1'", true],
  ["normalize: yes", true],
  ["normalize: No", false],
  ["normalize: on", true],
  ["normalize: OFF", false],
  ["normalize: 'False'", false],
  ["normalize: [{ filter: lm_head, value: off }]", false],
  ["normalize: [off, true]", false],
  ["scope: model", "model"],
  ["scope: 2", "2"],
  ["scope: [{ value: model }]", "model"],
  ["rescale: l1", "l1"],
  ["rescale: true", "l1"],
  ["rescale: off", "none"],
  ["rescale: [true, l1]", "l1"],
  ["rounds: 3", 3],
  ["rounds: 10.0", 10],
  ["rounds: '7'", 7],
  ["rounds: true", 1],
  ["rounds: [{ filter: mlp, value: 2 }, { filter: lm_head, value: 4 }]", 4],
  ["rounds: [{ filter: mlp, value: 2 }]", 5],
])("bindParameters() reads %s as %j", (parameter, expected) => {
  expect(read(parameter)).toBe(expected);
});

test.each([
  ["weight: abc", '4:11  Parameter "weight" must be a number, found the string "abc"'],
  ["weight: yes", '4:11  Parameter "weight" must be a number, found the string "yes"'],
  ["weight: 0.5.1", '4:11  Parameter "weight" must be a number, found the string "0.5.1"'],
  ["density: 1.5", '4:12  Parameter "density" is 1.5, above its maximum of 1'],
  ["density: -1e-9", '4:12  Parameter "density" is -1e-9, below its minimum of 0'],
  [
    "density: [0.5, 2, 3]",
    '4:12  Parameter "density" is 2, above its maximum of 1\nrecipe.yaml:4:12  Parameter "density" is 3, above its maximum of 1',
  ],
  ["density: [{ filter: a, value: 0.5 }, { value: 7 }]", '4:49  Parameter "density" is 7, above its maximum of 1'],
  ["density: [{ value: [0, 7] }]", '4:22  Parameter "density" is 7, above its maximum of 1'],
  ["normalize: 2", '4:14  Parameter "normalize" must be true or false, found the number 2'],
  ["normalize: maybe", '4:14  Parameter "normalize" must be true or false, found the string "maybe"'],
  ["normalize: [0, 2]", '4:14  Parameter "normalize" must be true or false, found the number 2'],
  ["scope: modle", '4:10  Parameter "scope" cannot be "modle", did you mean "model"?'],
  ["scope: layer", '4:10  Parameter "scope" cannot be "layer", expected one of "tensor", "model", "2"'],
  ["scope: true", '4:10  Parameter "scope" cannot be "true", expected one of "tensor", "model", "2"'],
  ["scope: [model, layer]", '4:10  Parameter "scope" cannot be "layer", expected one of "tensor", "model", "2"'],
  ["rounds: 1.5", '4:11  Parameter "rounds" must be a whole number, found the number 1.5'],
  ["rounds: many", '4:11  Parameter "rounds" must be a whole number, found the string "many"'],
  ["rounds: 1e300", '4:11  Parameter "rounds" must be a whole number, found the number 1e+300'],
  ["rounds: 0", '4:11  Parameter "rounds" is 0, below its minimum of 1'],
  ["rounds: 11", '4:11  Parameter "rounds" is 11, above its maximum of 10'],
  ["rounds: [1, 2]", '4:11  Parameter "rounds" is a whole number and cannot be a list over the layers'],
  ["rounds: [{ value: [3] }]", '4:21  Parameter "rounds" is a whole number and cannot be a list over the layers'],
  ["weight: [1, abc]", '4:11  Parameter "weight" must be a number, found the string "abc"'],
  [
    "wieght: 1",
    '4:3  Unknown parameter "wieght": method "stir" takes "weight", "density", "rounds", "normalize", "scope", "rescale", did you mean "weight"?',
  ],
  [
    "lambda: 1",
    '4:3  Unknown parameter "lambda": method "stir" takes "weight", "density", "rounds", "normalize", "scope", "rescale"',
  ],
])("bindParameters() refuses %s", (parameter, complaint) => {
  expect(messageOf(() => read(parameter))).toBe(`recipe.yaml:${complaint}`);
});

test("bindParameters() says so when a method has no parameters", () => {
  const recipe = parseRecipe("merge_method: m\nmodels: [{ model: ./a }]\nparameters: { t: 1 }\n", "recipe.yaml");
  const plain: MethodParameters = { name: "m", base: "none", perModel: {}, merge: {}, inert: {} };
  expect(messageOf(() => bindParameters(recipe, plain))).toBe(
    'recipe.yaml:3:15  Unknown parameter "t": method "m" takes no parameters',
  );
});

test("bindParameters() complains of a misspelt parameter under a model, and of one that is missing", () => {
  const recipe = parseRecipe(
    "merge_method: stir\nmodels:\n  - model: ./a\n    parameters:\n      wieght: 1\n",
    "recipe.yaml",
  );
  expect(messageOf(() => bindParameters(recipe, { ...method, perModel: { weight: number({ help: "" }) } }))).toBe(
    [
      'recipe.yaml:3:12  Missing parameter "weight" for model "./a": method "stir" needs it, give it under the model or once under "parameters"',
      'recipe.yaml:5:7  Unknown parameter "wieght": method "stir" takes "weight", "density", "rounds", "normalize", "scope", "rescale", did you mean "weight"?',
    ].join("\n"),
  );
});
