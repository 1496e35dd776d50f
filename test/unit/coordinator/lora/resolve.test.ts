import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { openAdapter } from "../../../../coordinator/lora/adapter.js";
import { resolveAdapter } from "../../../../coordinator/lora/resolve.js";
import { openCheckpoint } from "../../../../shared/checkpoint/open.js";
import { fixture, largestDifference, lowRankProduct, readMatrix, writeAdapter } from "../../../support/adapters.js";
import { type TestTensors, withTempDir, writeCheckpoint } from "../../../support/checkpoints.js";

const ones = (...shape: readonly number[]) => {
  const count = shape.reduce((product, dimension) => product * dimension, 1);
  return { dtype: "F32", shape, values: new Float32Array(count).fill(1) } as const;
};

test.each([
  ["patterns", "llama", "rank_pattern and alpha_pattern"],
  ["rslora", "llama", "rank-stabilised, with modules to save"],
  ["embedding", "llama-tied", "an embedding"],
  ["head", "llama-tied", "a head that is tied to the embedding"],
  ["conv1d", "gpt2", "Conv1D, square ones too, with biases"],
])("resolveAdapter() changes what PEFT's merge_and_unload() does, as it does: %s on %s (%s)", async (name, base) => {
  const adapter = await openAdapter(fixture(name));
  const model = await openCheckpoint(fixture("bases", base));
  const resolved = resolveAdapter(adapter, model.tensors);
  expect(resolved.problems).toEqual([]);
  expect(resolved.warnings).toEqual([]);
  const merged = await openCheckpoint(fixture(name, "merged.safetensors"));
  const changed = new Set([...resolved.updates.keys(), ...resolved.replaced.keys()]);
  expect([...changed].toSorted()).toEqual([...merged.tensors.keys()].toSorted());
  for (const [tensorName, expected] of merged.tensors) {
    const replacement = resolved.replaced.get(tensorName);
    const start =
      replacement === undefined
        ? readMatrix(model, model.tensors.get(tensorName))
        : readMatrix(adapter.checkpoint, replacement);
    const update = resolved.updates.get(tensorName);
    const delta = update === undefined ? undefined : lowRankProduct(adapter.checkpoint, update);
    const own = start.map((value, i) => value + (delta?.[i] ?? 0));
    expect(largestDifference(own, readMatrix(merged, expected))).toBeLessThan(1e-12);
  }
});

test("resolveAdapter() finds modules with a prefix less and a prefix more", async () => {
  await using folder = await withTempDir();
  const factors = {
    "base_model.model.transformer.h.0.fc.lora_A.default.weight": ones(1, 3),
    "base_model.model.transformer.h.0.fc.lora_B.default.weight": ones(2, 1),
    "base_model.model.layers.0.up.lora_A.weight": ones(1, 3),
    "base_model.model.layers.0.up.lora_B.weight": ones(2, 1),
  };
  const { updates, problems } = await resolve(folder.path, factors, {
    "h.0.fc.weight": ones(2, 3),
    "model.layers.0.up.weight": ones(2, 3),
  });
  expect(problems).toEqual([]);
  expect([...updates.keys()]).toEqual(["h.0.fc.weight", "model.layers.0.up.weight"]);
});

test("resolveAdapter() asks a square layer's neighbours how it is stored, and the configuration if they do not tell", async () => {
  const factors = { "x.lora_A.weight": ones(1, 2), "x.lora_B.weight": ones(2, 1) };
  const told = { "n.weight": ones(2, 6), "n.bias": ones(2) };
  const isTransposed = async (base: TestTensors, config: object): Promise<boolean | undefined> => {
    await using folder = await withTempDir();
    const { updates } = await resolve(folder.path, factors, { "x.weight": ones(2, 2), ...base }, config);
    return updates.get("x.weight")?.transposed;
  };
  expect(await isTransposed({}, { fan_in_fan_out: true })).toBe(true);
  expect(await isTransposed({}, { fan_in_fan_out: false })).toBe(false);
  expect(await isTransposed(told, { fan_in_fan_out: true })).toBe(false);
  expect(await isTransposed({ "n.weight": ones(2, 6), "n.bias": ones(6) }, { fan_in_fan_out: false })).toBe(true);
});

const pair = { "x.lora_A.weight": ones(1, 3), "x.lora_B.weight": ones(2, 1) };
const base = { "x.weight": ones(2, 3) };
const embedding = { "model.embed_tokens.weight": ones(4, 2) };

test.each<[what: string, adapter: TestTensors, base: TestTensors, config: object, problem: RegExp]>([
  ["a missing module", pair, { "y.weight": ones(2, 3) }, {}, /^1 of its names is not in the base: "x"$/],
  ["another shape", pair, { "x.weight": ones(2, 4) }, {}, /"x.weight" is \[2, 4\] in the base, and .* make \[2, 3\]$/],
  ["half a pair", { "x.lora_A.weight": ones(1, 3) }, base, {}, /^module "x" has no factor B$/],
  ["another rank", pair, base, { r: 2 }, /"x" has factors of rank 1 and 1, and its configuration says 2$/],
  ["a convolution", { ...pair, "x.lora_A.weight": ones(1, 3, 1, 1) }, base, {}, /factors of 4 dimensions/],
  ["integers", pair, { "x.weight": { dtype: "I8", shape: [2, 3], bytes: new Uint8Array(6) } }, {}, /is I8/],
  ["DoRA", { ...pair, "x.lora_magnitude_vector": ones(2) }, base, { use_dora: true }, /DoRA/],
  [
    "a magnitude vector",
    { ...pair, "x.lora_magnitude_vector": ones(2) },
    base,
    {},
    /^1 tensor of no kind that LoRA has/,
  ],
  ["another method", { "x.hada_w1_a": ones(1) }, base, { peft_type: "LOHA" }, /^it is of PEFT's type "LOHA"/],
  ["fused experts", pair, base, { target_parameters: ["experts.gate_up_proj"] }, /fused experts/],
  ["PiSSA", pair, base, { init_lora_weights: "pissa_niter_16" }, /first factors out of the base \("pissa_niter_16"\)/],
  ["added biases", { ...pair, "x.lora_B.bias": ones(2) }, base, { lora_bias: true }, /adds to biases/],
  [
    "a resized embedding",
    { ...pair, "z.weight": ones(5, 2) },
    { ...base, "z.weight": ones(4, 2) },
    {},
    /own is \[5, 2\]/,
  ],
  ["nothing", {}, base, {}, /^it has no tensors$/],
  [
    "a head that came apart from its embedding",
    { ...pair, "lm_head.weight": ones(4, 2) },
    { ...base, ...embedding },
    {},
    /^it has a head of its own, "lm_head.weight"/,
  ],
  [
    "two updates of a tied tensor",
    {
      "model.embed_tokens.lora_embedding_A": ones(1, 4),
      "model.embed_tokens.lora_embedding_B": ones(2, 1),
      "lm_head.lora_A.weight": ones(1, 2),
      "lm_head.lora_B.weight": ones(4, 1),
    },
    embedding,
    {},
    /"model.embed_tokens.weight" is updated twice/,
  ],
])("resolveAdapter() does not apply %s", async (_, adapter, model, config, problem) => {
  await using folder = await withTempDir();
  const { problems } = await resolve(folder.path, adapter, model, config);
  expect(problems).toEqual([expect.stringMatching(problem)].concat(problems.slice(1)));
});

test("resolveAdapter() takes a head that is the embedding once more for what it is", async () => {
  await using folder = await withTempDir();
  const saved = { ...pair, "model.embed_tokens.weight": ones(4, 2), "lm_head.weight": ones(4, 2) };
  const { replaced, problems } = await resolve(folder.path, saved, { ...base, ...embedding });
  expect(problems).toEqual([]);
  expect([...replaced.keys()]).toEqual(["model.embed_tokens.weight"]);
});

test("resolveAdapter() ignores biases of B that the configuration does not speak of, as PEFT does, and says so", async () => {
  await using folder = await withTempDir();
  const { problems, warnings } = await resolve(folder.path, { ...pair, "x.lora_B.bias": ones(2) }, base);
  expect(problems).toEqual([]);
  expect(warnings).toEqual(['biases of B are ignored, since "lora_bias" is not set: "x.lora_B.bias"']);
});

test("openAdapter() says what to do with a pickled adapter", async () => {
  await using folder = await withTempDir();
  await writeAdapter(folder.path, undefined, {});
  await expect(openAdapter(folder.path)).rejects.toThrow(/has no "adapter_model.safetensors"$/);
  await writeAdapter(folder.path, undefined, {}, { "adapter_model.bin": readFileSync(import.meta.filename) });
  await expect(openAdapter(folder.path)).rejects.toThrow(/weights are pickled .*save_pretrained\(\)/);
});

test("openAdapter() names what is wrong with a folder or its configuration", async () => {
  await using folder = await withTempDir();
  await expect(openAdapter(folder.path)).rejects.toThrow(/it has no "adapter_config.json"$/);
  await writeCheckpoint(folder.path, base, { config: {} });
  await expect(openAdapter(folder.path)).rejects.toThrow(/it holds a model and no "adapter_config.json"$/);
  await expect(openAdapter(`${folder.path}/model.safetensors`)).rejects.toThrow(/this is a file$/);
  await writeAdapter(folder.path, pair, { r: 0 });
  await expect(openAdapter(folder.path)).rejects.toThrow(/adapter_config.json": "r": .*>=1/);
});

test("resolveAdapter() gives up on a pattern that does not come to an end", async () => {
  await using folder = await withTempDir();
  const name = "a".repeat(60);
  const factors = { [`${name}.lora_A.weight`]: ones(1, 3), [`${name}.lora_B.weight`]: ones(2, 1) };
  const config = { rank_pattern: { "(a+)+b": 1 } };
  await expect(resolve(folder.path, factors, base, config)).rejects.toThrow(/"\(a\+\)\+b": .*timed out/);
});

async function resolve(folder: string, factors: TestTensors, model: TestTensors, config: object = {}) {
  await writeAdapter(`${folder}/adapter`, factors, { r: 1, lora_alpha: 1, ...config });
  await writeCheckpoint(`${folder}/base`, model);
  const { tensors } = await openCheckpoint(`${folder}/base`);
  return resolveAdapter(await openAdapter(`${folder}/adapter`), tensors);
}
