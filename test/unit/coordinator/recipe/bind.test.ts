import { expect, test } from "vitest";
import { type BoundSlice, bindParameters, type MethodParameters } from "../../../../coordinator/recipe/bind.js";
import { parseRecipe } from "../../../../coordinator/recipe/parse.js";
import { boolean, choice, number } from "../../../../shared/methods/parameter.js";
import { messageOf } from "./message-of.js";

/** A method with a parameter of every kind. */
const method: MethodParameters = {
  name: "stir",
  base: "required",
  perModel: {
    weight: number({ help: "must be given" }),
    density: number({ default: 1, min: 0, max: 1, help: "has a default and bounds" }),
    scale: number({ optional: true, help: "may be left out" }),
  },
  merge: {
    t: number({ default: 0.5, help: "has a default" }),
    normalize: boolean({ default: true, help: "is a boolean" }),
    rescale: choice({
      choices: ["none", "l1", "l2"],
      default: "none",
      booleans: { true: "l1", false: "none" },
      help: "is a word, or a boolean",
    }),
    scope: choice({ choices: ["tensor", "model"], default: "tensor", help: "is a word" }),
  },
  inert: { int8_mask: "saves memory elsewhere" },
};

const attention = "model.layers.3.self_attn.q_proj.weight";

/** The values for one tensor of a recipe for `stir` that begins on line 3 after its method and base. */
function bind(rest: string, tensorName = attention, layer = { index: 3, count: 4 }, stirred = method) {
  const recipe = parseRecipe(`merge_method: stir\nbase_model: ./base\n${rest}`, "recipe.yaml");
  const values = (settings: BoundSlice["merge"]) =>
    Object.fromEntries([...settings].map(([name, setting]) => [name, setting(tensorName, layer)]));
  const [slice] = bindParameters(recipe, stirred).modules[0]?.slices ?? [];
  return slice && { perSource: slice.perSource.map(values), base: values(slice.base), merge: values(slice.merge) };
}

const baseValues = { weight: undefined, density: 1, scale: undefined };

test("bindParameters() takes a model's own value, else the recipe's, else the default", () => {
  const perSource = bind(`
models:
  - { model: ./a, parameters: { weight: 1, density: 0.2 } }
  - { model: ./b, parameters: { density: 0.3 } }
  - { model: ./c, parameters: { weight: 3, scale: 4 } }
parameters: { weight: 2 }
`)?.perSource;
  expect(perSource).toEqual([
    { weight: 1, density: 0.2, scale: undefined },
    { weight: 2, density: 0.3, scale: undefined },
    { weight: 3, density: 1, scale: 4 },
  ]);
});

test("bindParameters() passes from filters that don't match to the recipe's value, and on to the default", () => {
  const rest = `
models:
  - model: ./a
    parameters:
      weight: [{ filter: mlp, value: 1 }]
      density: [{ filter: mlp, value: [0.1, 0.3] }]
parameters:
  weight: [{ filter: norm, value: 2 }, { value: 3 }]
  density: [{ filter: norm, value: 0.6 }]
`;
  expect(bind(rest, "layers.3.mlp.weight")?.perSource).toEqual([{ weight: 1, density: 0.3, scale: undefined }]);
  expect(bind(rest, "layers.3.norm.weight")?.perSource).toEqual([{ weight: 2, density: 0.6, scale: undefined }]);
  expect(bind(rest, attention)?.perSource).toEqual([{ weight: 3, density: 1, scale: undefined }]);
});

test("bindParameters() gives the merge its values from the recipe, else the defaults", () => {
  const models = "models: [{ model: ./base }]\n";
  expect(bind(models)?.merge).toEqual({ t: 0.5, normalize: true, rescale: "none", scope: "tensor" });
  expect(bind(`${models}parameters: { t: [0, 1], normalize: false, rescale: l2, scope: model }\n`)?.merge).toEqual({
    t: 1,
    normalize: false,
    rescale: "l2",
    scope: "model",
  });
});

test("bindParameters() asks nothing of the base model, and takes what is given", () => {
  expect(bind("models: [{ model: ./base }]\n")?.perSource).toEqual([baseValues]);
  expect(
    bind("models: [{ model: ./base, parameters: { density: 0.5 } }]\nparameters: { weight: 1 }\n")?.perSource,
  ).toEqual([{ weight: 1, density: 0.5, scale: undefined }]);
});

test("bindParameters() asks of the base model what it asks of others when the method treats it so", () => {
  expect(() => bind("models: [{ model: ./base }]\n", attention, undefined, { ...method, base: "none" })).toThrow(
    'recipe.yaml:3:19  Missing parameter "weight" for model "./base": method "stir" needs it, give it under the model or once under "parameters"',
  );
});

test("bindParameters() asks for the merge's parameters where the method is named", () => {
  const needy = { ...method, merge: { t: number({ help: "must be given" }) } };
  expect(() => bind("models: [{ model: ./base }]\n", attention, undefined, needy)).toThrow(
    'recipe.yaml:1:15  Missing parameter "t": method "stir" needs it, give it under "parameters"',
  );
});

test("bindParameters() lets parameters pass that change nothing, on both levels", () => {
  const rest = "models: [{ model: ./base, parameters: { int8_mask: [1, 2] } }]\nparameters: { int8_mask: true }\n";
  expect(bind(rest)?.perSource).toEqual([baseValues]);
});

test("a bound parameter that must be given complains when no filter matches a tensor", () => {
  const rest = "models: [{ model: ./a, parameters: { weight: [{ filter: mlp, value: 1 }] } }]\n";
  expect(bind(rest, "layers.0.mlp.up_proj.weight")?.perSource).toMatchObject([{ weight: 1 }]);
  expect(() => bind(rest, "lm_head.weight")).toThrow(
    'recipe.yaml:3:19  Missing parameter "weight" for tensor "lm_head.weight" of model "./a": no filter matches, end the list with "- value: …"',
  );
  const needy = { ...method, merge: { t: number({ help: "must be given" }) } };
  const merge = "models: [{ model: ./base }]\nparameters: { t: [{ filter: mlp, value: 1 }] }\n";
  expect(() => bind(merge, "lm_head.weight", undefined, needy)).toThrow(
    'recipe.yaml:1:15  Missing parameter "t" for tensor "lm_head.weight": no filter matches, end the list with "- value: …"',
  );
});

test("a bound parameter of the base model has no value when no filter matches", () => {
  const rest = "models: [{ model: ./base, parameters: { weight: [{ filter: mlp, value: 1 }] } }]\n";
  expect(bind(rest, "lm_head.weight")?.perSource).toEqual([baseValues]);
});

test("bindParameters() keeps to the names a method has, not to those every object has", () => {
  const rest = "models: [{ model: ./base }]\nparameters: { constructor: 1, toString: 2 }\n";
  expect(() => bind(rest)).toThrow(/4:15 {2}Unknown parameter "constructor".*\n.*4:31 {2}Unknown parameter "toString"/);
});

test("bindParameters() gives a base that joins what stands above the sources", () => {
  const rest = `
slices:
  - sources: [{ model: ./a, layer_range: [0, 4], parameters: { weight: 1, density: 0.1 } }]
    parameters: { density: 0.5 }
`;
  expect(bind(rest)?.base).toEqual({ weight: undefined, density: 0.5, scale: undefined });
});

test("bindParameters() exempts the base of the slice, and no longer that of the recipe", () => {
  const rest = `
slices:
  - sources: [{ model: ./base, layer_range: [0, 4] }, { model: ./other, layer_range: [0, 4] }]
    base_model: ./other
`;
  expect(messageOf(() => bind(rest))).toBe(
    'recipe.yaml:5:24  Missing parameter "weight" for model "./base": method "stir" needs it, give it under the model or once under "parameters"',
  );
});

test("bindParameters() asks of a base what it asks of models when it joins whole ones without being a base", () => {
  const stirred: MethodParameters = { ...method, base: "none" };
  const models = "models: [{ model: ./a, parameters: { weight: 1 } }]\n";
  expect(messageOf(() => bind(models, attention, undefined, stirred))).toBe(
    'recipe.yaml:2:13  Missing parameter "weight" for model "./base": method "stir" needs it, give it under the model or once under "parameters"',
  );
  expect(bind(`${models}parameters: { weight: 3 }\n`, attention, undefined, stirred)?.base).toMatchObject({
    weight: 3,
  });
  const slices = "slices: [{ sources: [{ model: ./a, layer_range: [0, 2], parameters: { weight: 1 } }] }]\n";
  expect(bind(slices, attention, undefined, stirred)?.perSource).toMatchObject([{ weight: 1 }]);
});

test("bindParameters() keeps two sources apart that are one model", () => {
  const rest = `
slices:
  - sources:
      - { model: ./a, layer_range: [0, 4], parameters: { weight: 1 } }
      - { model: ./a, layer_range: [4, 8], parameters: { weight: 2 } }
`;
  expect(bind(rest)?.perSource).toMatchObject([{ weight: 1 }, { weight: 2 }]);
});

test("bindParameters() complains on every level, once for each place", () => {
  const rest = `
parameters: { wieght: 1 }
modules:
  text:
    parameters: { density: 2 }
    slices:
      - sources: [{ model: ./a, layer_range: [0, 1], parameters: { t: 1 } }]
        parameters: { normalize: maybe }
      - sources: [{ model: ./a, layer_range: [1, 2], parameters: { weight: x } }]
`;
  expect(messageOf(() => bind(rest)).split("\n")).toEqual([
    'recipe.yaml:4:15  Unknown parameter "wieght": method "stir" takes "weight", "density", "scale", "t", "normalize", "rescale", "scope", did you mean "weight"?',
    'recipe.yaml:7:28  Parameter "density" is 2, above its maximum of 1',
    'recipe.yaml:9:28  Missing parameter "weight" for model "./a": method "stir" needs it, give it under the model or once under "parameters"',
    'recipe.yaml:10:34  Parameter "normalize" must be true or false, found the string "maybe"',
    'recipe.yaml:11:76  Parameter "weight" must be a number, found the string "x"',
  ]);
});

test("bindParameters() warns of what mergekit knows and ignores, with its place and the reason", () => {
  const rest =
    "models: [{ model: ./base, parameters: { t: 1 } }, { model: ./a, parameters: { weight: 1, gamma: 2 } }]\n";
  const recipe = parseRecipe(`merge_method: stir\nbase_model: ./base\n${rest}parameters: { t: 0.5 }\n`, "recipe.yaml");
  const { warnings } = bindParameters(recipe, method, new Set(["gamma"]));
  expect(warnings).toEqual([
    `recipe.yaml:3:41  Parameter "t" has no effect: it belongs to the merge and not to a model, give it once, under the recipe's own "parameters"`,
    'recipe.yaml:3:90  Parameter "gamma" has no effect: method "stir" does not take it',
  ]);
});
