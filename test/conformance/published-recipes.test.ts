import { expect, test } from "vitest";
import { methodOf } from "../../coordinator/plan/check-method.js";
import type { Plan } from "../../coordinator/plan/types.js";
import { parseRecipes } from "../../coordinator/recipe/parse.js";
import { type FakeTensors, fakeModel, parametersOf, planOf } from "../support/planning.js";

// The six recipes that mergekit publishes as examples (its `examples/` folder, commit a6e4028), written down anew: same
// keys, models and numbers. They are planned against headers of the real models' shapes; no weights exist.

/** What config.json and the header of a Llama or Mistral checkpoint say. */
interface Shape {
  readonly type: "llama" | "mistral";
  readonly layers: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly keyValue: number;
  readonly vocabulary: number;
}

const llama13: Shape = {
  type: "llama",
  layers: 40,
  hidden: 5120,
  intermediate: 13_824,
  keyValue: 5120,
  vocabulary: 32_000,
};
const mistral7: Shape = {
  type: "mistral",
  layers: 32,
  hidden: 4096,
  intermediate: 14_336,
  keyValue: 1024,
  vocabulary: 32_000,
};

function standIn(name: string, shape: Shape) {
  const { type, layers, hidden, intermediate, keyValue, vocabulary } = shape;
  const tensors: Record<string, FakeTensors[string]> = { "model.embed_tokens.weight": ["BF16", [vocabulary, hidden]] };
  for (let layer = 0; layer < layers; layer += 1) {
    const matrices: Readonly<Record<string, readonly number[]>> = {
      "self_attn.q_proj": [hidden, hidden],
      "self_attn.k_proj": [keyValue, hidden],
      "self_attn.v_proj": [keyValue, hidden],
      "self_attn.o_proj": [hidden, hidden],
      "mlp.gate_proj": [intermediate, hidden],
      "mlp.up_proj": [intermediate, hidden],
      "mlp.down_proj": [hidden, intermediate],
      input_layernorm: [hidden],
      post_attention_layernorm: [hidden],
    };
    for (const [part, size] of Object.entries(matrices))
      tensors[`model.layers.${layer}.${part}.weight`] = ["BF16", size];
  }
  tensors["model.norm.weight"] = ["BF16", [hidden]];
  tensors["lm_head.weight"] = ["BF16", [vocabulary, hidden]];
  return fakeModel(name, tensors, { config: { model_type: type, num_hidden_layers: layers, vocab_size: vocabulary } });
}

const published = {
  arcee_fusion: `
merge_method: arcee_fusion
base_model: model_a
models: [{ model: model_a }, { model: model_b }]
dtype: bfloat16
`,
  "bio-merge": `
merge_method: ties
base_model: mistralai/Mistral-7B-v0.1
models:
  - { model: mistralai/Mistral-7B-Instruct-v0.2, parameters: { density: 0.5, weight: 0.5 } }
  - { model: BioMistral/BioMistral-7B, parameters: { density: 0.5, weight: 0.5 } }
parameters: { normalize: false, int8_mask: true }
dtype: float16
`,
  "gradient-slerp": `
merge_method: slerp
base_model: psmathur/orca_mini_v3_13b
slices:
  - sources:
      - { model: psmathur/orca_mini_v3_13b, layer_range: [0, 40] }
      - { model: garage-bAInd/Platypus2-13B, layer_range: [0, 40] }
parameters:
  t:
    - { filter: self_attn, value: [0, 0.5, 0.3, 0.7, 1] }
    - { filter: mlp, value: [1, 0.5, 0.7, 0.3, 0] }
    - value: 0.5
dtype: float16
`,
  linear: `
merge_method: linear
models:
  - { model: psmathur/orca_mini_v3_13b, parameters: { weight: 1.0 } }
  - { model: WizardLM/WizardLM-13B-V1.2, parameters: { weight: 0.3 } }
  - { model: garage-bAInd/Platypus2-13B, parameters: { weight: 0.5 } }
dtype: float16
`,
  "orcamini-platy-44layer": `
merge_method: passthrough
slices:
  - sources: [{ model: psmathur/orca_mini_v3_13b, layer_range: [0, 24] }]
  - sources: [{ model: garage-bAInd/Platypus2-13B, layer_range: [20, 40] }]
dtype: float16
`,
  ties: `
merge_method: ties
base_model: TheBloke/Llama-2-13B-fp16
models:
  - { model: psmathur/orca_mini_v3_13b, parameters: { density: [1, 0.7, 0.1], weight: 1.0 } }
  - { model: garage-bAInd/Platypus2-13B, parameters: { density: 0.5, weight: [0, 0.3, 0.7, 1] } }
  - model: WizardLM/WizardMath-13B-V1.0
    parameters: { density: 0.33, weight: [{ filter: mlp, value: 0.5 }, { value: 0 }] }
parameters: { normalize: true, int8_mask: true }
dtype: float16
`,
} as const;

function planPublished(name: keyof typeof published): Plan {
  const text = published[name];
  parseRecipes(text, "recipe.yaml").stages.forEach(methodOf);
  const shape = name === "bio-merge" ? mistral7 : llama13;
  const models = text.match(/[\w-]+\/[\w.-]+|model_[ab]/g) ?? [];
  return planOf(text, Object.fromEntries(models.map((model) => [model, standIn(model, shape)])));
}

test.each([
  ["arcee_fusion", 363, "BF16"],
  ["bio-merge", 291, "F16"],
  ["gradient-slerp", 363, "F16"],
  ["linear", 363, "F16"],
  ["orcamini-platy-44layer", 399, "F16"],
  ["ties", 363, "F16"],
] as const)("%s plans %i tensors of %s", (name, tensors, dtype) => {
  const plan = planPublished(name);
  expect(plan.tensors).toHaveLength(tensors);
  expect(new Set(plan.tensors.map((tensor) => tensor.dtype))).toEqual(new Set([dtype]));
});

test("gradient-slerp moves t along the layers, apart for attention and MLP, and gives the rest 0.5", () => {
  const plan = planPublished("gradient-slerp");
  const t = (tensor: string) => parametersOf(plan, tensor)["t"];
  expect(t("model.layers.0.self_attn.q_proj.weight")).toBe(0);
  expect(t("model.layers.39.self_attn.q_proj.weight")).toBe(1);
  expect(t("model.layers.0.mlp.up_proj.weight")).toBe(1);
  expect(t("model.layers.13.self_attn.q_proj.weight")).toBeCloseTo(0.5 + (0.3 - 0.5) * ((13 / 39) * 4 - 1), 12);
  expect(t("model.layers.20.input_layernorm.weight")).toBe(0.5);
  expect(t("lm_head.weight")).toBe(0.5);
});

test("the 44-layer stack renumbers layers and says so in the config", () => {
  const plan = planPublished("orcamini-platy-44layer");
  const sourceOf = (tensor: string) => {
    const [input] = plan.tensors.find(({ name }) => name === tensor)?.inputs ?? [];
    return plan.models[input?.model ?? -1]?.name;
  };
  expect(sourceOf("model.embed_tokens.weight")).toBe("psmathur/orca_mini_v3_13b");
  expect(sourceOf("model.layers.23.mlp.up_proj.weight")).toBe("psmathur/orca_mini_v3_13b");
  expect(sourceOf("model.layers.24.mlp.up_proj.weight")).toBe("garage-bAInd/Platypus2-13B");
  expect(sourceOf("model.layers.43.mlp.up_proj.weight")).toBe("garage-bAInd/Platypus2-13B");
  expect(sourceOf("lm_head.weight")).toBe("garage-bAInd/Platypus2-13B");
  expect(plan.companions.configEdits).toContainEqual({ path: ["num_hidden_layers"], value: 44 });
});

test("ties takes gradients and filters per model", () => {
  const plan = planPublished("ties");
  const at = (tensor: string) => parametersOf(plan, tensor);
  const last = at("model.layers.39.self_attn.q_proj.weight");
  expect(last['density of "psmathur/orca_mini_v3_13b"']).toBeCloseTo(0.1, 12);
  expect(last['weight of "garage-bAInd/Platypus2-13B"']).toBe(1);
  expect(last['weight of "WizardLM/WizardMath-13B-V1.0"']).toBe(0);
  expect(at("model.layers.3.mlp.up_proj.weight")['weight of "WizardLM/WizardMath-13B-V1.0"']).toBe(0.5);
});
