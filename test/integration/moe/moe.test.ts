import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openCheckpoint } from "../../../shared/checkpoint/open.js";
import { writeAdapter } from "../../support/adapters.js";
import { randomTensor, readTensor, readTensorBytes, withTempDir } from "../../support/checkpoints.js";
import { amalgam } from "../../support/command.js";
import { hashDirectory } from "../../support/plans.js";
import { hidden, intermediate, writeLlama } from "./models.js";

async function withModels() {
  const folder = await withTempDir();
  for (const [seed, name] of ["base", "code", "verse"].entries()) await writeLlama(join(folder.path, name), seed);
  const at = (name: string): string => join(folder.path, name);
  return {
    at,
    config: async (text: string): Promise<string> => {
      await writeFile(at("config.yaml"), text);
      return at("config.yaml");
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

const prompted = `base_model: base
gate_mode: cheap_embed
experts:
  - { source_model: code, positive_prompts: [the code, proof], negative_prompts: [verse] }
  - { source_model: verse, positive_prompts: [the hen, a fox] }
`;

const everything = `base_model: base
gate_mode: random
dtype: float32
seed: 7
experts:
  - { source_model: code, noise_scale: 0.01, residual_scale: 0.5 }
  - { source_model: verse }
  - { source_model: base }
  - { source_model: code, noise_scale: 0.02 }
`;

test("experts are the bytes of their models, and everything else is the base's", async () => {
  await using models = await withModels();
  const output = models.at("out");
  const outcome = await amalgam("moe", await models.config(prompted), output);
  expect([outcome.code, outcome.stderr.includes("warning")]).toEqual([0, false]);
  const made = await openCheckpoint(output);
  const sources = new Map(
    await Promise.all(
      ["base", "code", "verse"].map(async (name) => [name, await openCheckpoint(models.at(name))] as const),
    ),
  );
  const bytes = (name: string, tensor: string): Uint8Array => {
    const source = sources.get(name);
    if (source === undefined) throw new RangeError(name);
    return readTensorBytes(source, tensor);
  };
  const parts = { w1: "gate_proj", w2: "down_proj", w3: "up_proj" };
  for (const layer of [0, 1]) {
    for (const [expert, name] of ["code", "verse"].entries()) {
      for (const [part, matrix] of Object.entries(parts)) {
        const tensor = `model.layers.${layer}.block_sparse_moe.experts.${expert}.${part}.weight`;
        expect(readTensorBytes(made, tensor)).toEqual(bytes(name, `model.layers.${layer}.mlp.${matrix}.weight`));
      }
    }
    const attention = `model.layers.${layer}.self_attn.q_proj.weight`;
    expect(readTensorBytes(made, attention)).toEqual(bytes("base", attention));
  }
  expect(readTensorBytes(made, "lm_head.weight")).toEqual(bytes("base", "lm_head.weight"));
  // Buffers of old checkpoints have no place in a Mixtral.
  expect([...made.tensors.keys()].filter((name) => /mlp|inv_freq/.test(name))).toEqual([]);
  expect(made.tensors.size).toBe(3 + 2 * (6 + 1 + 2 * 3));
});

test("the gate of an expert is the direction of its prompts' embeddings, away from what it should not get", async () => {
  await using models = await withModels();
  const config = await models.config(`${prompted}dtype: float32\n`);
  expect((await amalgam("moe", config, models.at("out"))).code).toBe(0);
  const embedding = readTensor(await openCheckpoint(models.at("base")), "model.embed_tokens.weight");
  const row = (token: number): readonly number[] => [...embedding.subarray(token * hidden, (token + 1) * hidden)];
  const sum = (tokens: readonly number[]): readonly number[] =>
    row(0).map((_, i) => tokens.reduce((total, token) => total + (row(token)[i] ?? 0), 0));
  const unit = (x: readonly number[]): readonly number[] => x.map((value) => value / Math.hypot(...x));
  // <unk> <s> the hen fox code proof verse; every prompt begins with <s>, and "a" is no token.
  const negative = unit(sum([1, 7]));
  const expected = [
    ...unit(unit(sum([1, 2, 5, 1, 6])).map((value, i) => value - (negative[i] ?? 0))),
    ...unit(sum([1, 2, 3, 1, 0, 4])),
  ];
  const made = await openCheckpoint(models.at("out"));
  for (const layer of [0, 1]) {
    const gate = readTensor(made, `model.layers.${layer}.block_sparse_moe.gate.weight`);
    expect(gate).toHaveLength(expected.length);
    gate.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 6);
    });
  }
});

test("the same config gives the same files however the work is done", async () => {
  await using models = await withModels();
  const variations = {
    "one agent": [],
    "three agents": ["--agents", "3", "--unit-size", "5KB"],
    "one that streams": ["--assembly", "stream"],
    "three that stream tiny units": ["--agents", "3", "--assembly", "stream", "--unit-size", "1KB"],
  };
  for (const [name, text] of Object.entries({ prompted, everything })) {
    const config = await models.config(text);
    const hashes = [];
    for (const [what, options] of Object.entries(variations)) {
      const output = models.at(`${name}, ${what}`);
      expect((await amalgam("moe", config, output, ...options)).code, what).toBe(0);
      hashes.push(await hashDirectory(output));
    }
    for (const [i, what] of Object.keys(variations).entries()) expect(hashes[i], what).toEqual(hashes[0]);
    expect(Object.keys(hashes[0] ?? {})).toContain("model.safetensors");
  }
});

test("noise has its scale, differs between experts, and grows from the seed", async () => {
  await using models = await withModels();
  const noiseOf = async (text: string, expert: number, source: string): Promise<readonly number[]> => {
    expect((await amalgam("moe", await models.config(text), models.at("out"), "--overwrite")).code).toBe(0);
    const made = await openCheckpoint(models.at("out"));
    const noisy = readTensor(made, `model.layers.1.block_sparse_moe.experts.${expert}.w3.weight`);
    const plain = readTensor(await openCheckpoint(models.at(source)), "model.layers.1.mlp.up_proj.weight");
    return [...noisy].map((value, i) => value - (plain[i] ?? 0));
  };
  const deviation = (x: readonly number[]): number => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / x.length);
  const first = await noiseOf(everything, 0, "code");
  expect(deviation(first)).toBeCloseTo(0.01, 3);
  expect(deviation(await noiseOf(everything, 3, "code"))).toBeCloseTo(0.02, 3);
  expect(deviation(await noiseOf(everything, 1, "verse"))).toBe(0);
  expect(await noiseOf(everything, 0, "code")).toEqual(first);
  expect(await noiseOf(everything.replace("seed: 7", "seed: 8"), 0, "code")).not.toEqual(first);
});

test("an expert may be a model with a LoRA on top", async () => {
  await using models = await withModels();
  const module = "base_model.model.model.layers.1.mlp.up_proj";
  const [a, b] = [randomTensor(1, [2, hidden]), randomTensor(2, [intermediate, 2])];
  const factors = { [`${module}.lora_A.weight`]: a, [`${module}.lora_B.weight`]: b };
  await writeAdapter(models.at("lora"), factors, { r: 2, lora_alpha: 6, target_modules: ["up_proj"], bias: "none" });
  const text =
    "base_model: base\ngate_mode: random\ndtype: float32\nexperts: [{ source_model: code+lora }, { source_model: code }]\n";
  expect((await amalgam("moe", await models.config(text), models.at("out"))).code).toBe(0);
  const made = await openCheckpoint(models.at("out"));
  const expert = (i: number) => readTensor(made, `model.layers.1.block_sparse_moe.experts.${i}.w3.weight`);
  const [adapted, plain] = [expert(0), expert(1)];
  const at = (tensor: typeof a, i: number): number => ("values" in tensor ? (tensor.values[i] ?? 0) : Number.NaN);
  adapted.forEach((value, i) => {
    const [row, column] = [Math.floor(i / hidden), i % hidden];
    const product = at(b, 2 * row) * at(a, column) + at(b, 2 * row + 1) * at(a, hidden + column);
    expect(value).toBeCloseTo((plain[i] ?? 0) + 3 * product, 6);
  });
  const other = "model.layers.0.block_sparse_moe.experts.0.w3.weight";
  expect(readTensorBytes(made, other)).toEqual(readTensorBytes(made, other.replace("experts.0", "experts.1")));
});

test("what is written beside the weights says how they were made", async () => {
  await using models = await withModels();
  const config = await models.config(prompted);
  expect((await amalgam("moe", config, models.at("out"))).code).toBe(0);
  const settings = JSON.parse(await readFile(join(models.at("out"), "config.json"), "utf8")) as unknown;
  expect(settings).toMatchObject({
    architectures: ["MixtralForCausalLM"],
    model_type: "mixtral",
    num_local_experts: 2,
    num_experts_per_tok: 2,
    // Llama's own defaults, which Mixtral does not share.
    rope_theta: 10_000,
    num_key_value_heads: 4,
    rms_norm_eps: 1e-6,
    torch_dtype: "bfloat16",
  });
  const card = await readFile(join(models.at("out"), "README.md"), "utf8");
  expect(card).toContain("**Mixture of experts** (`moe`)");
  expect(card).toContain("amalgam moe recipe.yaml merged/");
  expect((await amalgam("verify", models.at("out"))).code).toBe(0);
  const again = await amalgam("moe", config, models.at("out"));
  expect(again.stdout).toContain("holds this merge already");
});

test("--plan says what it takes and makes nothing; a config that cannot work ends with code 2", async () => {
  await using models = await withModels();
  const planned = await amalgam("moe", await models.config(prompted), models.at("out"), "--plan");
  expect(planned.stdout).toContain("moe of 2 models and a base, 29 tensors");
  await expect(readFile(join(models.at("out"), "config.json"))).rejects.toThrow("ENOENT");
  const unknownMode = await models.config(prompted.replace("cheap_embed", "hidden_max"));
  const refused = await amalgam("moe", unknownMode, models.at("out"));
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringMatching(/config\.yaml:2:12 {2}Unknown gate_mode/)]);
});
