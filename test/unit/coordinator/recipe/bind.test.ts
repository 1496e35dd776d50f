import { expect, test } from "vitest";
import { bindParameters, type MethodParameters } from "../../../../coordinator/recipe/bind.js";
import { parseRecipe } from "../../../../coordinator/recipe/parse.js";
import { boolean, choice, number } from "../../../../shared/methods/parameter.js";

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
  const bound = bindParameters(recipe, stirred);
  const values = (settings: (typeof bound)["merge"]) =>
    Object.fromEntries([...settings].map(([name, setting]) => [name, setting(tensorName, layer)]));
  return { perModel: bound.perModel.map(values), merge: values(bound.merge) };
}

const baseValues = { weight: undefined, density: 1, scale: undefined };

test("bindParameters() takes a model's own value, else the recipe's, else the default", () => {
  const { perModel } = bind(`
models:
  - { model: ./a, parameters: { weight: 1, density: 0.2 } }
  - { model: ./b, parameters: { density: 0.3 } }
  - { model: ./c, parameters: { weight: 3, scale: 4 } }
parameters: { weight: 2 }
`);
  expect(perModel).toEqual([
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
  expect(bind(rest, "layers.3.mlp.weight").perModel).toEqual([{ weight: 1, density: 0.3, scale: undefined }]);
  expect(bind(rest, "layers.3.norm.weight").perModel).toEqual([{ weight: 2, density: 0.6, scale: undefined }]);
  expect(bind(rest, attention).perModel).toEqual([{ weight: 3, density: 1, scale: undefined }]);
});

test("bindParameters() gives the merge its values from the recipe, else the defaults", () => {
  const models = "models: [{ model: ./base }]\n";
  expect(bind(models).merge).toEqual({ t: 0.5, normalize: true, rescale: "none", scope: "tensor" });
  expect(bind(`${models}parameters: { t: [0, 1], normalize: false, rescale: l2, scope: model }\n`).merge).toEqual({
    t: 1,
    normalize: false,
    rescale: "l2",
    scope: "model",
  });
});

test("bindParameters() asks nothing of the base model, and takes what is given", () => {
  expect(bind("models: [{ model: ./base }]\n").perModel).toEqual([baseValues]);
  expect(
    bind("models: [{ model: ./base, parameters: { density: 0.5 } }]\nparameters: { weight: 1 }\n").perModel,
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
  expect(bind(rest).perModel).toEqual([baseValues]);
});

test("a bound parameter that must be given complains when no filter matches a tensor", () => {
  const rest = "models: [{ model: ./a, parameters: { weight: [{ filter: mlp, value: 1 }] } }]\n";
  expect(bind(rest, "layers.0.mlp.up_proj.weight").perModel).toMatchObject([{ weight: 1 }]);
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
  expect(bind(rest, "lm_head.weight").perModel).toEqual([baseValues]);
});

test("bindParameters() keeps to the names a method has, not to those every object has", () => {
  const rest = "models: [{ model: ./base }]\nparameters: { constructor: 1, toString: 2 }\n";
  expect(() => bind(rest)).toThrow(/4:15 {2}Unknown parameter "constructor".*\n.*4:31 {2}Unknown parameter "toString"/);
});
