import { expect, test } from "vitest";
import { AmalgamError } from "../../../../shared/errors.js";
import { type FakeModelOptions, type FakeTensors, fakeModel, planOf, recipeFor } from "../../../support/planning.js";

const linear = recipeFor("linear", ["a", "b"], { each: "weight: 1" });
const passthrough = recipeFor("passthrough", ["a"]);
const norm: FakeTensors = { norm: ["BF16", [8]] };

/** What planning complains of, line by line; none if it plans. */
function complaints(recipe: string, tensors: FakeTensors, options: FakeModelOptions = {}): readonly string[] {
  const models = {
    a: fakeModel("a", { ...norm, ...tensors }, options),
    b: fakeModel("b", { ...norm, ...tensors }, options),
  };
  try {
    planOf(recipe, models);
    return [];
  } catch (error) {
    if (error instanceof AmalgamError && error.code === "recipe_invalid") return error.message.split("\n");
    throw error;
  }
}

const fp8 = { quantization_config: { quant_method: "fp8", weight_block_size: [128, 128] } };

test.each<[string, FakeTensors, FakeModelOptions, ...string[]]>([
  [
    "FP8 with scales of blocks",
    { "up.weight": ["F8_E4M3", [8, 8]], "up.weight_scale_inv": ["F32", [1, 1]] },
    {},
    'tensor "up.weight": in "a" it is F8_E4M3 to be multiplied by "up.weight_scale_inv"',
    'tensor "up.weight_scale_inv": in "a" it is what "up.weight" is to be multiplied by',
  ],
  [
    "FP8 with a scale",
    { "up.weight": ["F8_E4M3", [8, 8]], "up.weight_scale": ["BF16", []] },
    {},
    'tensor "up.weight": in "a" it is F8_E4M3 to be multiplied by "up.weight_scale"',
    'tensor "up.weight_scale": in "a" it is what "up.weight" is to be multiplied by',
  ],
  [
    "FP8 without the scales that its config speaks of",
    { "up.weight": ["F8_E4M3", [8, 8]] },
    { config: fp8 },
    'tensor "up.weight": in "a" it is F8_E4M3, config.json has a "quantization_config", and "up.weight_scale_inv" is missing',
  ],
  [
    "GPTQ",
    { "up.qweight": ["I32", [1, 8]], "up.qzeros": ["I32", [1, 1]], "up.scales": ["F16", [1, 8]] },
    {},
    'tensor "up.qweight": in "a" it is I32 to be multiplied by "up.scales"',
    'tensor "up.scales": in "a" it is what "up.qweight" is to be multiplied by',
  ],
  [
    "packed int4",
    { "up.weight_packed": ["I32", [8, 1]], "up.weight_scale": ["BF16", [8, 1]] },
    {},
    'tensor "up.weight_packed": in "a" it is I32 to be multiplied by "up.weight_scale"',
    'tensor "up.weight_scale": in "a" it is what "up.weight_packed" is to be multiplied by',
  ],
  [
    "MXFP4",
    { "mlp.experts.down_proj_blocks": ["U8", [2, 8]], "mlp.experts.down_proj_scales": ["U8", [2, 1]] },
    {},
    'tensor "mlp.experts.down_proj_blocks": in "a" it is U8 to be multiplied by "mlp.experts.down_proj_scales"',
    'tensor "mlp.experts.down_proj_scales": in "a" it is what "mlp.experts.down_proj_blocks" is to be multiplied by',
  ],
])("%s is not merged as if it were numbers, and is copied by a merge of one model", (_, tensors, options, ...lines) => {
  const found = complaints(linear, tensors, options).map((line) => line.replace(/^\S+ {2}Cannot merge /, ""));
  expect(found).toEqual(lines.map((line) => `${line}; merge models that are not quantized, and quantize the result`));
  expect(complaints(passthrough, tensors, options)).toEqual([]);
});

test("a quantized model among others is complained of at its own place", () => {
  const wide: FakeTensors = { ...norm, "up.weight": ["BF16", [8, 8]] };
  const narrow: FakeTensors = { ...norm, "up.weight": ["F8_E4M3", [8, 8]], "up.weight_scale_inv": ["F32", [1, 1]] };
  expect(() => planOf(linear, { a: wide, b: narrow })).toThrow(
    'recipe.yaml:4:14  Cannot merge tensor "up.weight": in "b" it is F8_E4M3 to be multiplied by "up.weight_scale_inv"',
  );
});

test.each<[string, FakeTensors, FakeModelOptions]>([
  ["FP8 whose numbers are the model's own", { "up.weight": ["F8_E4M3", [8, 8]] }, {}],
  ["a scale of something that is not there", { logit_scale: ["F32", []], "rope.scales": ["F32", [8]] }, {}],
  ["a wide tensor with a scale that the model learned", { gate: ["BF16", [8]], gate_scale: ["BF16", [8]] }, {}],
  ["a wide model that says how it was quantized", {}, { config: fp8 }],
])("%s is merged", (_, tensors, options) => {
  expect(complaints(linear, tensors, options)).toEqual([]);
});
