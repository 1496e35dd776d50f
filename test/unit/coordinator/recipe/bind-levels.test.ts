import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { bindParameters, type MethodParameters } from "../../../../coordinator/recipe/bind.js";
import { parseRecipe } from "../../../../coordinator/recipe/parse.js";
import { boolean, number } from "../../../../shared/methods/parameter.js";

/** What `ties` has, as far as the fixture gives it. */
const ties: MethodParameters = {
  name: "ties",
  base: "required",
  inert: {},
  perModel: { weight: number({ help: "must be given" }), density: number({ default: 1, help: "has a default" }) },
  merge: {
    normalize: boolean({ default: true, help: "is a boolean" }),
    lambda: number({ default: 1, help: "has a default" }),
  },
};

const modules = readFileSync(new URL("../../../../../test/fixtures/recipes/modules.yaml", import.meta.url), "utf8");

/** `[weight, density]` of each source but the base, then `normalize` and `lambda`. */
function bindLayer(slice: number, layer: number | undefined, tensor: string): unknown {
  const recipe = parseRecipe(modules, "modules.yaml");
  const bound = bindParameters(recipe, ties).modules[0]?.slices[slice];
  const { sources = [] } = recipe.modules[0]?.slices[slice] ?? {};
  const count = slice === 0 ? 3 : 1;
  const position = layer === undefined ? undefined : { index: layer, count };
  const nameOf = (first = 0) => (layer === undefined ? tensor : `model.layers.${first + layer}.${tensor}`);
  const perSource = bound?.perSource.slice(0, -1).map((settings, i) => {
    const name = nameOf(sources[i]?.layers?.value[0]);
    return ["weight", "density"].map((parameter) => settings.get(parameter)?.(name, position));
  });
  const name = nameOf(slice === 0 ? 0 : 3);
  return [...(perSource ?? []), ["normalize", "lambda"].map((each) => bound?.merge.get(each)?.(name, position))];
}

// Computed by mergekit 0.1.5 from the same file.
test.each<[slice: number, layer: number | undefined, tensor: string, ...expected: unknown[]]>([
  [0, 0, "mlp.up_proj.weight", [10, 0.5], [2, 0.25], [false, 1.5]],
  [0, 0, "mlp.down_proj.weight", [2, 0.5], [2, 0.25], [false, 1.5]],
  [0, 0, "self_attn.o_proj.weight", [0.1, 0.125], [0.1, 0.25], [true, 1.5]],
  [0, 0, "input_layernorm.weight", [0.1, 1], [0.1, 0.25], [true, 1.25]],
  [0, 1, "mlp.up_proj.weight", [15, 0.5], [2, 0.25], [false, 1.5]],
  [0, 1, "mlp.down_proj.weight", [5, 0.5], [2, 0.25], [false, 1.5]],
  [0, 1, "self_attn.o_proj.weight", [5, 0.125], [0.2, 0.25], [true, 1.5]],
  [0, 1, "input_layernorm.weight", [5, 1], [0.2, 0.25], [true, 1.25]],
  [0, 2, "mlp.up_proj.weight", [20, 0.5], [2, 0.25], [false, 1.5]],
  [0, 2, "self_attn.o_proj.weight", [0.4, 0.125], [0.4, 0.25], [true, 1.5]],
  [0, undefined, "lm_head.weight", [0.1, 1], [0.1, 0.25], [true, 1.5]],
  [1, 0, "mlp.up_proj.weight", [2, 0.5], [true, 1.5]],
  [1, 0, "self_attn.o_proj.weight", [0.4, 0.7], [true, 1.5]],
  [1, 0, "input_layernorm.weight", [0.4, 1], [true, 1.25]],
  [1, undefined, "lm_head.weight", [0.1, 1], [true, 1.5]],
])(
  "bindParameters() takes source, slice, module, recipe and default in this order: slice %j, layer %j, %s",
  (slice, layer, tensor, ...expected) => {
    expect(bindLayer(slice, layer, tensor)).toEqual(expected);
  },
);
