import { join } from "node:path";
import { expect, test } from "vitest";
import { type ExtractionOptions, planExtraction } from "../../../../coordinator/lora/extraction.js";
import { openCheckpoint } from "../../../../shared/checkpoint/open.js";
import { randomTensor, type TestTensors, withTempDir, writeCheckpoint } from "../../../support/checkpoints.js";

const defaults: ExtractionOptions = {
  ...{ embedLora: false, saveModules: [], include: [], exclude: [], skipUndecomposable: false },
};

const llama: TestTensors = {
  "lm_head.weight": randomTensor(1, [10, 4]),
  "model.embed_tokens.weight": randomTensor(2, [10, 4]),
  "model.layers.0.input_layernorm.weight": randomTensor(3, [4]),
  "model.layers.0.mlp.up_proj.weight": randomTensor(4, [6, 4]),
  "model.layers.0.self_attn.q_proj.bias": randomTensor(5, [4]),
  "model.layers.0.self_attn.q_proj.weight": randomTensor(6, [4, 4]),
};
const norm = "model.layers.0.input_layernorm";
const up = "model.layers.0.mlp.up_proj";
const q = "model.layers.0.self_attn.q_proj";

async function plan(
  options: Partial<ExtractionOptions>,
  model: TestTensors = llama,
  base: TestTensors = llama,
  config?: object,
) {
  await using folder = await withTempDir();
  const [tuned, from] = [join(folder.path, "tuned"), join(folder.path, "base")];
  await writeCheckpoint(tuned, model, { config });
  await writeCheckpoint(from, base);
  return planExtraction(await openCheckpoint(tuned), await openCheckpoint(from), { ...defaults, ...options });
}

test.each<[what: string, options: Partial<ExtractionOptions>, decomposed: string[], saved: string[]]>([
  ["by default, embeddings, head and norms", {}, [up, q], ["lm_head", "model.embed_tokens", norm]],
  ["with embedLora, norms only", { embedLora: true }, ["lm_head", "model.embed_tokens", up, q], [norm]],
  ["with skipUndecomposable, no norms", { skipUndecomposable: true }, [up, q], ["lm_head", "model.embed_tokens"]],
  ["a module that is named", { saveModules: ["up_proj"] }, [q], ["lm_head", "model.embed_tokens", norm, up]],
  ["only what is included, and embeddings all the same", { include: [/up_/] }, [up], ["lm_head", "model.embed_tokens"]],
  ["nothing that is excluded, embeddings included", { exclude: [/mlp|embed|head|norm/] }, [q], []],
])("planExtraction() saves whole: %s", async (_, options, decomposed, saved) => {
  const extraction = await plan(options);
  expect(extraction.decomposed.map(({ module }) => module)).toEqual(decomposed);
  expect(extraction.modulesToSave).toEqual(saved);
  expect(extraction.warnings).toEqual([]);
});

test("planExtraction() saves the bias of a decomposed module underneath its factors", async () => {
  const { saved } = await plan({ exclude: [/embed|head|norm/] });
  expect(saved.map(({ tensor, isUnderneath }) => [tensor.name, isUnderneath])).toEqual([[`${q}.bias`, true]]);
});

test("planExtraction() sees that a base stores its matrices as in × out, and that embeddings and head are apart", async () => {
  const gpt2: TestTensors = {
    "h.0.c_attn.bias": randomTensor(1, [12]),
    "h.0.c_attn.weight": randomTensor(2, [4, 12]),
    "h.0.c_proj.weight": randomTensor(3, [4, 4]),
    "lm_head.weight": randomTensor(4, [10, 4]),
    "wte.weight": randomTensor(5, [10, 4]),
  };
  const { decomposed, fanInFanOut } = await plan({ embedLora: true }, gpt2, gpt2);
  expect(fanInFanOut).toBe(true);
  expect(decomposed.map(({ module, transposed, isEmbedding }) => [module, transposed, isEmbedding])).toEqual([
    ["h.0.c_attn", true, false],
    ["h.0.c_proj", true, false],
    ["lm_head", false, false],
    ["wte", true, true],
  ]);
});

test("planExtraction() saves embeddings whole when the vocabulary has grown, and says so", async () => {
  const grown = { ...llama, "model.embed_tokens.weight": randomTensor(7, [12, 4]) };
  const { modulesToSave, warnings } = await plan({ embedLora: true }, grown);
  expect(modulesToSave).toContain("model.embed_tokens");
  expect(warnings).toEqual(['embeddings are saved whole: "model.embed_tokens.weight" has 12 rows, and 10 in the base']);
});

test("planExtraction() saves a head that is tied to the embedding with it, since PEFT would leave the base's", async () => {
  const { "lm_head.weight": _, ...tied } = llama as Record<string, never>;
  const config = { architectures: ["LlamaForCausalLM"] };
  const { saved, modulesToSave, savesTiedHead } = await plan({ skipUndecomposable: true }, tied, tied, config);
  expect(savesTiedHead).toBe(true);
  expect(modulesToSave).toEqual(["model.embed_tokens", "lm_head"]);
  expect(saved.map(({ name, tensor }) => [name, tensor.name])).toEqual([
    ["model.embed_tokens.weight", "model.embed_tokens.weight"],
    [`${q}.bias`, `${q}.bias`],
    ["lm_head.weight", "model.embed_tokens.weight"],
  ]);
  expect((await plan({ embedLora: true }, tied, tied, config)).savesTiedHead).toBe(false);
  expect((await plan({}, tied, tied, { architectures: ["LlamaModel"] })).savesTiedHead).toBe(false);
});

test("planExtraction() names tensors that no module has", async () => {
  const experts = { ...llama, "model.layers.0.experts.gate_up_proj": randomTensor(8, [2, 4, 4]) };
  const { warnings } = await plan({}, experts);
  expect(warnings).toEqual(['tensors that belong to no module are left out: "model.layers.0.experts.gate_up_proj"']);
});

test("planExtraction() refuses a base that does not fit", async () => {
  const { [`${up}.weight`]: _, ...without } = llama as Record<string, never>;
  await expect(plan({}, llama, without)).rejects.toThrow(`the base has no "${up}.weight"`);
  const other = { ...llama, [`${up}.weight`]: randomTensor(9, [6, 5]) };
  await expect(plan({}, llama, other)).rejects.toThrow(`tensor "${up}.weight" is [6, 4], and [6, 5] in the base`);
});
