import { expect, test } from "vitest";
import { AmalgamError } from "../../../../shared/errors.js";
import { type FakeTensors, fakeModel, parametersOf, planOf } from "../../../support/planning.js";

/** A Llama of some layers: an embedding, two tensors a layer, a norm and a head. */
function llama(layers: number, extra: FakeTensors = {}, config: Record<string, unknown> = {}) {
  const tensors: Record<string, FakeTensors[string]> = { "model.embed_tokens.weight": ["F32", [10, 4]] };
  for (let layer = 0; layer < layers; layer += 1) {
    tensors[`model.layers.${layer}.mlp.up_proj.weight`] = ["F32", [8, 4]];
    tensors[`model.layers.${layer}.input_layernorm.weight`] = ["F32", [4]];
  }
  tensors["model.norm.weight"] = ["F32", [4]];
  tensors["lm_head.weight"] = ["F32", [10, 4]];
  const described = { model_type: "llama", num_hidden_layers: layers, vocab_size: 10, ...config };
  return fakeModel("m", { ...tensors, ...extra }, { config: described });
}

const models = { a: llama(4), b: llama(4), deep: llama(6) };

function plan(recipe: string) {
  return planOf(recipe, models);
}

/** Where an output tensor comes from: `model:tensor`, by input. */
function originsOf(planned: ReturnType<typeof planOf>, name: string): readonly string[] {
  const tensor = planned.tensors.find((each) => each.name === name);
  return (tensor?.inputs ?? []).map(({ model, offset }) => {
    const given = Object.entries(models).find(([key]) => key === planned.models[model]?.name)?.[1];
    const found = [...(given?.checkpoint.tensors.values() ?? [])].find((each) => each.offset === offset);
    return `${planned.models[model]?.name}:${found?.name}`;
  });
}

function complaintsOf(recipe: string): readonly string[] {
  try {
    plan(recipe);
  } catch (error) {
    if (error instanceof AmalgamError && error.code === "recipe_invalid") return error.message.split("\n");
    throw error;
  }
  throw new Error("Nothing was complained of");
}

const stack = `merge_method: passthrough
slices:
  - sources: [{ model: a, layer_range: [0, 3] }]
  - sources: [{ model: deep, layer_range: [2, 6] }]
`;

test("a stack numbers its layers anew, and takes what is outside the layers from its first and last slice", () => {
  const stacked = plan(stack);
  expect(originsOf(stacked, "model.embed_tokens.weight")).toEqual(["a:model.embed_tokens.weight"]);
  expect(originsOf(stacked, "model.layers.2.mlp.up_proj.weight")).toEqual(["a:model.layers.2.mlp.up_proj.weight"]);
  expect(originsOf(stacked, "model.layers.3.mlp.up_proj.weight")).toEqual(["deep:model.layers.2.mlp.up_proj.weight"]);
  expect(originsOf(stacked, "model.layers.6.input_layernorm.weight")).toEqual([
    "deep:model.layers.5.input_layernorm.weight",
  ]);
  expect(originsOf(stacked, "lm_head.weight")).toEqual(["deep:lm_head.weight"]);
  expect(stacked.tensors).toHaveLength(1 + 7 * 2 + 2);
  expect(stacked.companions.configEdits).toEqual([{ path: ["num_hidden_layers"], value: 7 }]);
});

test("layers are written in order, whatever order names sort in", () => {
  const long = plan(`merge_method: passthrough
slices:
${"  - sources: [{ model: deep, layer_range: [0, 6] }]\n".repeat(2)}`);
  const layers = long.tensors.map(({ name }) => /layers\.(\d+)/.exec(name)?.[1]).filter((layer) => layer !== undefined);
  expect(layers.map(Number)).toEqual(layers.map(Number).toSorted((x, y) => x - y));
  expect(new Set(layers).size).toBe(12);
});

test("gradients run along a slice, and each slice starts anew", () => {
  const sliced = plan(`merge_method: linear
slices:
  - sources:
      - { model: a, layer_range: [0, 3], parameters: { weight: [0, 1] } }
      - { model: b, layer_range: [1, 4], parameters: { weight: 1 } }
  - sources:
      - { model: a, layer_range: [0, 1], parameters: { weight: [0, 1] } }
      - { model: b, layer_range: [0, 1], parameters: { weight: 1 } }
`);
  const weight = (layer: number) => parametersOf(sliced, `model.layers.${layer}.mlp.up_proj.weight`)['weight of "a"'];
  expect([0, 1, 2, 3].map(weight)).toEqual([0, 0.5, 1, 1]);
  expect(parametersOf(sliced, "model.norm.weight")['weight of "a"']).toBe(0);
  expect(originsOf(sliced, "model.layers.1.mlp.up_proj.weight")).toEqual([
    "a:model.layers.1.mlp.up_proj.weight",
    "b:model.layers.2.mlp.up_proj.weight",
  ]);
});

test("filters look at the input's name under a source and at the output's under the recipe", () => {
  const filtered = plan(`merge_method: linear
slices:
  - sources:
      - { model: a, layer_range: [2, 3], parameters: { weight: [{ filter: layers.2., value: 2 }, { value: 1 }] } }
      - { model: b, layer_range: [2, 3], parameters: { weight: 1 } }
`);
  expect(parametersOf(filtered, "model.layers.0.mlp.up_proj.weight")['weight of "a"']).toBe(2);
});

test("a slice may have a base of its own", () => {
  const based = plan(`merge_method: task_arithmetic
base_model: a
slices:
  - sources:
      - { model: a, layer_range: [0, 2] }
      - { model: b, layer_range: [0, 2], parameters: { weight: 1 } }
  - base_model: deep
    sources:
      - { model: deep, layer_range: [4, 6] }
      - { model: b, layer_range: [2, 4], parameters: { weight: 1 } }
`);
  expect(originsOf(based, "model.layers.3.mlp.up_proj.weight")).toEqual([
    "deep:model.layers.5.mlp.up_proj.weight",
    "b:model.layers.3.mlp.up_proj.weight",
  ]);
  expect(based.programs).toHaveLength(2);
});

test("one model may give two layers of one slice, which mergekit would make one", () => {
  const twice = plan(`merge_method: linear
slices:
  - sources:
      - { model: a, layer_range: [0, 1], parameters: { weight: 1 } }
      - { model: a, layer_range: [1, 2], parameters: { weight: 1 } }
`);
  expect(originsOf(twice, "model.layers.0.mlp.up_proj.weight")).toEqual([
    "a:model.layers.0.mlp.up_proj.weight",
    "a:model.layers.1.mlp.up_proj.weight",
  ]);
});

test.each([
  [
    "a range beyond the last layer",
    stack.replace("[2, 6]", "[2, 7]"),
    ['recipe.yaml:4:43  Layers [2, 7) are out of bounds: "deep" has 6 layers, 0 to 5'],
  ],
  [
    "models of different depth",
    "merge_method: linear\nparameters: { weight: 1 }\nmodels: [{ model: a }, { model: deep }]\n",
    [
      'recipe.yaml:3:33  Cannot merge models of different depth: "a" has 4 layers and "deep" has 6; choose layers with "slices"',
    ],
  ],
  [
    "a base that is not among a slice's sources",
    "merge_method: task_arithmetic\nbase_model: b\nslices:\n  - sources: [{ model: a, layer_range: [0, 1], parameters: { weight: 1 } }]\n",
    [
      'recipe.yaml:4:5  The base "b" is not one of the slice\'s sources: list it among them, with the layers to compare with',
    ],
  ],
  [
    "too many models for a slice",
    "merge_method: passthrough\nslices:\n  - sources: [{ model: a, layer_range: [0, 1] }, { model: b, layer_range: [0, 1] }]\n",
    ['recipe.yaml:3:5  Method "passthrough" merges exactly 1 model, the slice lists 2'],
  ],
  [
    "a module that the model does not have",
    "merge_method: passthrough\nmodules:\n  decoder: { slices: [{ sources: [{ model: a, layer_range: [0, 1] }] }] }\n",
    ['recipe.yaml:3:3  Unknown module "decoder", expected one of "default"'],
  ],
])("%s is a complaint", (_, recipe, complaints) => {
  expect(complaintsOf(recipe)).toEqual(complaints);
});

test("a head that only some models have is a tensor of the output; the others' embedding stands for it", () => {
  const tied = llama(4);
  const withoutHead = new Map([...tied.checkpoint.tensors].filter(([name]) => name !== "lm_head.weight"));
  const family = { ...models, a: { ...tied, checkpoint: { ...tied.checkpoint, tensors: withoutHead } } };
  const merged = planOf(
    "merge_method: linear\nparameters: { weight: 1 }\nmodels: [{ model: a }, { model: b }]\n",
    family,
  );
  expect(originsOf(merged, "lm_head.weight")).toEqual(["a:model.embed_tokens.weight", "b:lm_head.weight"]);
});

test("a buffer that not every model has is copied", () => {
  const family = { a: llama(1, { "model.layers.0.self_attn.rotary_emb.inv_freq": ["F32", [2]] }), b: llama(1) };
  const merged = planOf(
    "merge_method: linear\nparameters: { weight: 1 }\nmodels: [{ model: a }, { model: b }]\n",
    family,
  );
  const buffer = merged.tensors.find(({ name }) => name.endsWith("inv_freq"));
  expect(buffer?.inputs).toHaveLength(1);
  expect(merged.warnings).toEqual([
    'Copied from "a" unmerged, since not every model has them: "model.layers.0.self_attn.rotary_emb.inv_freq"',
  ]);
});

test("token matrices of different height are a complaint that names the way out", () => {
  const larger = llama(4, { "model.embed_tokens.weight": ["F32", [12, 4]], "lm_head.weight": ["F32", [12, 4]] });
  const recipe = "merge_method: linear\nparameters: { weight: 1 }\nmodels: [{ model: a }, { model: b }]\n";
  const message = (() => {
    try {
      planOf(recipe, { a: models.a, b: larger });
    } catch (error) {
      return error instanceof AmalgamError ? error.message : String(error);
    }
    return "";
  })();
  expect(message.split("\n")[0]).toBe(
    'recipe.yaml:3:33  Cannot merge tensor "model.embed_tokens.weight": the vocabularies differ, "a" has 10 tokens and "b" has 12: set "tokenizer_source" to "union" or to the model whose tokens to keep',
  );
});

test("checkpoints with and without the task's head around them are merged by what their tensors are", () => {
  const bare = fakeModel("bare", { "h.0.ln_1.weight": ["F32", [4]] }, { config: { model_type: "gpt2", n_layer: 1 } });
  const causal = fakeModel(
    "causal",
    { "transformer.h.0.ln_1.weight": ["F32", [4]] },
    { config: { model_type: "gpt2", n_layer: 1 } },
  );
  const recipe = "merge_method: linear\nparameters: { weight: 1 }\nmodels: [{ model: causal }, { model: bare }]\n";
  const merged = planOf(recipe, { bare, causal });
  expect(merged.tensors.map(({ name, inputs }) => [name, inputs.length])).toEqual([["transformer.h.0.ln_1.weight", 2]]);
});

test.each([
  ["linear", "parameters: { weight: 0.5, normalize: false }"],
  ["slerp", "parameters: { t: 0.3 }"],
  ["ties", "parameters: { weight: 1, density: 0.5 }"],
])("under %s, modules that a recipe does not mention are copied, not merged", (method, rest) => {
  const t5 = fakeModel(
    "t5",
    {
      "shared.weight": ["F32", [10, 4]],
      "encoder.block.0.layer.0.SelfAttention.q.weight": ["F32", [4, 4]],
      "decoder.block.0.layer.0.SelfAttention.q.weight": ["F32", [4, 4]],
    },
    { config: { model_type: "t5", num_layers: 1, num_decoder_layers: 1, vocab_size: 10 } },
  );
  const recipe = `merge_method: ${method}
base_model: base
modules:
  encoder: { models: [{ model: tuned }, { model: base }] }
${rest}
`;
  const plan = planOf(recipe, { base: t5, tuned: t5 });
  const read = Object.fromEntries(
    plan.tensors.map(({ name, inputs }) => [name, inputs.map(({ model }) => plan.models[model]?.name)]),
  );
  expect(read).toEqual({
    "encoder.block.0.layer.0.SelfAttention.q.weight": ["tuned", "base"],
    "decoder.block.0.layer.0.SelfAttention.q.weight": ["base"],
    "shared.weight": ["base"],
  });
  const decoder = plan.tensors.find(({ name }) => name.startsWith("decoder"));
  expect(plan.programs[decoder?.program ?? -1]).toMatchObject({ inputs: 1, nodes: [{ op: "input" }], parameters: [] });
});

test("a module that is sliced changes the config, also after one that is not", () => {
  const block = (stack: string, layer: number) => `${stack}.block.${layer}.layer.0.SelfAttention.q.weight`;
  const names = ["encoder", "decoder"].flatMap((stack) => [block(stack, 0), block(stack, 1)]);
  const tensors = Object.fromEntries(["shared.weight", ...names].map((name) => [name, ["F32", [4, 4]] as const]));
  const t5 = fakeModel("t5", tensors, { config: { model_type: "t5", num_layers: 2, num_decoder_layers: 2 } });
  const recipe = `merge_method: passthrough
modules:
  encoder: { models: [{ model: a }] }
  decoder: { slices: [{ sources: [{ model: a, layer_range: [0, 1] }] }] }
  shared: { models: [{ model: a }] }
`;
  const plan = planOf(recipe, { a: t5 });
  expect(plan.tensors.map(({ name }) => name)).not.toContain(block("decoder", 1));
  expect(plan.companions.configEdits).toEqual([{ path: ["num_decoder_layers"], value: 1 }]);
});
