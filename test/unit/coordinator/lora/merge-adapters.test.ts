import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openAdapter } from "../../../../coordinator/lora/adapter.js";
import { mergeAdapters } from "../../../../coordinator/lora/merge-adapters.js";
import type { MergeAdaptersJob } from "../../../../coordinator/lora/merge-settings.js";
import { readModules } from "../../../../coordinator/lora/modules.js";
import { openCheckpoint } from "../../../../shared/checkpoint/open.js";
import { svd } from "../../../../shared/linalg/svd.js";
import { fixture, largestDifference, lowRankProduct, readMatrix, writeAdapter } from "../../../support/adapters.js";
import { type TestTensors, withTempDir } from "../../../support/checkpoints.js";

const left = { directory: fixture("left"), weight: 0.7 };
const right = { directory: fixture("right"), weight: -0.4 };
const third = { directory: fixture("third"), weight: -0.4 };

/** What an adapter adds, by module, in F64 and out × in. */
async function deltasOf(directory: string): Promise<ReadonlyMap<string, Float64Array>> {
  const adapter = await openAdapter(directory);
  const { modules, problems } = readModules(adapter);
  expect(problems).toEqual([]);
  return new Map(
    modules.map((module) => [
      module.name,
      lowRankProduct(adapter.checkpoint, { ...module, transposed: module.isEmbedding }),
    ]),
  );
}

async function merge(
  folder: string,
  job: Partial<MergeAdaptersJob> & Pick<MergeAdaptersJob, "adapters" | "combination">,
) {
  const output = join(folder, "merged");
  const result = await mergeAdapters({ output, dtype: "F32", ...job });
  return { result, deltas: await deltasOf(output), output };
}

test.each([
  ["cat", "concatenate", [left, right], undefined],
  ["svd", "svd", [left, right], 2],
  ["linear", "linear", [left, third], undefined],
] as const)(
  'mergeAdapters() makes what PEFT\'s add_weighted_adapter("%s") makes',
  async (golden, combination, adapters, rank) => {
    await using folder = await withTempDir();
    const { deltas } = await merge(folder.path, { adapters, combination, rank });
    const expected = await openCheckpoint(fixture("combined", `${golden}.safetensors`));
    expect([...deltas.keys()].toSorted()).toEqual([...expected.tensors.keys()].toSorted());
    for (const [module, tensor] of expected.tensors) {
      expect(largestDifference(deltas.get(module) ?? [], readMatrix(expected, tensor))).toBeLessThan(3e-8);
    }
  },
);

test.each(["concatenate", "svd"] as const)(
  "mergeAdapters() with %s is the weighted sum when the rank is enough",
  async (combination) => {
    await using folder = await withTempDir();
    const { deltas, result } = await merge(folder.path, { adapters: [left, right], combination, rank: 64 });
    const [ofLeft, ofRight] = [await deltasOf(left.directory), await deltasOf(right.directory)];
    expect(result).toMatchObject({ modules: 7, rank: 5, warnings: [] });
    for (const [module, delta] of deltas) {
      const [one, other] = [ofLeft.get(module), ofRight.get(module)];
      const sum = delta.map((_, i) => 0.7 * (one?.[i] ?? 0) - 0.4 * (other?.[i] ?? 0));
      expect(largestDifference(delta, sum)).toBeLessThan(1e-7);
    }
  },
);

test("mergeAdapters() with svd leaves out exactly the smallest singular values", async () => {
  await using folder = await withTempDir();
  const { deltas: whole } = await merge(folder.path, { adapters: [left, right], combination: "concatenate" });
  await using other = await withTempDir();
  const { deltas: cut, result } = await merge(other.path, { adapters: [left, right], combination: "svd", rank: 2 });
  expect(result.rank).toBe(2);
  const shape = { rows: 8, columns: 12 };
  const name = "model.layers.0.mlp.down_proj";
  const [before, after] = [whole.get(name) ?? new Float64Array(), cut.get(name) ?? new Float64Array()];
  const dropped = svd({ ...shape, data: before }).values.slice(2);
  const error = Math.hypot(...before.map((value, i) => value - (after[i] ?? 0)));
  expect(error).toBeCloseTo(Math.hypot(...dropped), 6);
  expect(error).toBeGreaterThan(1e-3);
});

test("mergeAdapters() writes what PEFT reads: patterns for ranks that differ, alpha equal to rank, the kept embedding", async () => {
  await using folder = await withTempDir();
  const { output } = await merge(folder.path, { adapters: [left, right], combination: "concatenate" });
  expect(await readdir(folder.path)).toEqual(["merged"]);
  expect((await readdir(output)).toSorted()).toEqual([
    "README.md",
    "adapter_config.json",
    "adapter_model.safetensors",
    "amalgam.json",
  ]);
  const config = JSON.parse(await readFile(join(output, "adapter_config.json"), "utf8")) as Record<string, unknown>;
  const upOnly = { "^model.layers.0.mlp.up_proj": 2, "^model.layers.1.mlp.up_proj": 2 };
  expect(config).toMatchObject({
    ...{ peft_type: "LORA", r: 5, lora_alpha: 5, rank_pattern: upOnly, alpha_pattern: upOnly },
    ...{ target_modules: ["down_proj", "embed_tokens", "q_proj", "up_proj"], base_model_name_or_path: "base" },
  });
  const { checkpoint } = await openAdapter(output);
  expect([...checkpoint.tensors.keys()]).toContain("base_model.model.model.embed_tokens.base_layer.weight");
  expect(await readFile(join(output, "README.md"), "utf8")).toContain("amalgam merge-adapters");
});

test("mergeAdapters() gives equal bytes for equal adapters", async () => {
  await using folder = await withTempDir();
  const bytes = async (name: string) => readFile(join(folder.path, name, "adapter_model.safetensors"));
  for (const name of ["a", "b"]) {
    const output = join(folder.path, name);
    await mergeAdapters({ adapters: [left, right], combination: "svd", dtype: "BF16", output });
  }
  expect((await bytes("a")).equals(await bytes("b"))).toBe(true);
});

const ones = (...shape: readonly number[]) => {
  const count = shape.reduce((product, dimension) => product * dimension, 1);
  return { dtype: "F32", shape, values: new Float32Array(count).fill(1) } as const;
};
const pair = (rank: number, into = 3): TestTensors => ({
  "x.lora_A.weight": ones(rank, into),
  "x.lora_B.weight": ones(2, rank),
});

test.each<[what: string, one: TestTensors, other: TestTensors, config: object, problem: RegExp]>([
  ["another shape", pair(1), pair(1, 4), {}, /module "x" is 2 × 4, and 2 × 3 in/],
  [
    "another rank",
    pair(1),
    pair(2),
    { r: 2 },
    /module "x" has rank 2, and linear needs the same rank everywhere: it is 1/,
  ],
  [
    "modules to save",
    pair(1),
    { ...pair(1), "norm.weight": ones(2) },
    {},
    /it replaces "norm.weight", which has no weighted sum/,
  ],
  [
    "another base",
    { ...pair(1), "x.base_layer.weight": ones(2, 3) },
    { ...pair(1), "x.base_layer.weight": { dtype: "F32", shape: [2, 3], values: new Float32Array(6) } },
    {},
    /its base has another "x.weight" than that of/,
  ],
  [
    "NaN",
    pair(1),
    { ...pair(1), "x.lora_A.weight": { dtype: "F32", shape: [1, 3], values: [1, Number.NaN, 0] } },
    {},
    /module "x": a factor has NaN or infinity/,
  ],
  ["DoRA", pair(1), pair(1), { use_dora: true }, /it is a DoRA adapter/],
])("mergeAdapters() refuses %s and leaves nothing behind", async (_, one, other, config, problem) => {
  await using folder = await withTempDir();
  await writeAdapter(join(folder.path, "one"), one, { r: 1 });
  await writeAdapter(join(folder.path, "other"), other, { r: 1, ...config });
  const adapters = ["one", "other"].map((name) => ({ directory: join(folder.path, name), weight: 1 }));
  await expect(merge(folder.path, { adapters, combination: "linear" })).rejects.toThrow(problem);
  expect((await readdir(folder.path)).toSorted()).toEqual(["one", "other"]);
});

test("mergeAdapters() does not touch an output that exists", async () => {
  await using folder = await withTempDir();
  const job = { adapters: [left], combination: "concatenate", output: folder.path, dtype: "F32" } as const;
  await expect(mergeAdapters(job)).rejects.toThrow(/it exists, choose another path$/);
});
