import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openAdapter } from "../../../coordinator/lora/adapter.js";
import { resolveAdapter } from "../../../coordinator/lora/resolve.js";
import { openCheckpoint } from "../../../shared/checkpoint/open.js";
import { svd } from "../../../shared/linalg/svd.js";
import { largestDifference, lowRankProduct, readMatrix } from "../../support/adapters.js";
import { randomTensor, randomValues, type TestTensor, writeCheckpoint } from "../../support/checkpoints.js";
import { type JsonEvent, withWorkplace } from "../../support/command.js";

const shapes: Readonly<Record<string, readonly number[]>> = {
  "lm_head.weight": [40, 24],
  "model.embed_tokens.weight": [40, 24],
  "model.layers.0.input_layernorm.weight": [24],
  "model.layers.0.mlp.down_proj.weight": [24, 60],
  "model.layers.0.self_attn.q_proj.bias": [24],
  "model.layers.0.self_attn.q_proj.weight": [24, 24],
  // Too large to be decomposed whole, at a small rank.
  "model.layers.1.mlp.up_proj.weight": [290, 280],
};

/** A base, and a model whose matrices differ from it by ones of rank 3. */
async function writeModels(folder: string): Promise<{ base: string; model: string }> {
  const base: Record<string, TestTensor> = {};
  const model: Record<string, TestTensor> = {};
  for (const [i, [name, shape]] of Object.entries(shapes).entries()) {
    const before = randomTensor(i, shape);
    const values = Float32Array.from("values" in before ? before.values : []);
    base[name] = before;
    model[name] = { dtype: "F32", shape, values: values.map((value, at) => value + (change(i, shape)[at] ?? 0)) };
  }
  const names = { base: join(folder, "base"), model: join(folder, "model") };
  await writeCheckpoint(names.base, base, { shards: 2 });
  await writeCheckpoint(names.model, model);
  return names;
}

const changes = new Map<number, Float64Array>();

function change(seed: number, [rows = 0, columns = 1]: readonly number[]): Float64Array {
  const known = changes.get(seed);
  if (known !== undefined) return known;
  const [left, right] = [randomValues(100 + seed, rows * 3), randomValues(200 + seed, columns * 3)];
  const made = new Float64Array(rows * columns).map((_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    return [0, 1, 2].reduce((sum, k) => sum + (left[row * 3 + k] ?? 0) * (right[column * 3 + k] ?? 0), 0);
  });
  changes.set(seed, made);
  return made;
}

/** The base with the adapter applied, by tensor. */
async function applied(directory: string, baseDirectory: string): Promise<ReadonlyMap<string, Float64Array>> {
  const base = await openCheckpoint(baseDirectory);
  const adapter = await openAdapter(directory);
  const { updates, replaced, problems, warnings } = resolveAdapter(adapter, base.tensors);
  expect([problems, warnings]).toEqual([[], []]);
  const result = new Map<string, Float64Array>();
  for (const [name, tensor] of base.tensors) {
    const own = replaced.get(name);
    const start = own === undefined ? readMatrix(base, tensor) : readMatrix(adapter.checkpoint, own);
    const update = updates.get(name);
    const delta = update === undefined ? [] : lowRankProduct(adapter.checkpoint, update);
    result.set(
      name,
      start.map((value, i) => value + (delta[i] ?? 0)),
    );
  }
  return result;
}

async function assertSame(found: ReadonlyMap<string, Float64Array>, modelDirectory: string): Promise<void> {
  const model = await openCheckpoint(modelDirectory);
  expect([...found.keys()].toSorted()).toEqual([...model.tensors.keys()].toSorted());
  for (const [name, tensor] of model.tensors) {
    expect(largestDifference(found.get(name) ?? [], readMatrix(model, tensor))).toBeLessThan(1e-7);
  }
}

test.each([
  ["embeddings saved whole", []],
  ["factors for embeddings too, the scale in A alone", ["--embed-lora", "--no-distribute-scale"]],
])(
  "extract-lora makes an adapter that turns the base into the model when the rank is enough: %s",
  async (_, options) => {
    await using place = await withWorkplace();
    const { base, model } = await writeModels(place.path);
    const output = place.at("adapter");
    const outcome = await place.run(
      "extract-lora",
      "--model",
      model,
      "--base",
      base,
      output,
      "--max-rank",
      "3",
      ...options,
    );
    expect(outcome).toMatchObject({ code: 0, stderr: "" });
    expect(outcome.stdout).toMatch(/^adapter: \d modules, rank up to 3, \d tensors saved whole, in /);
    await assertSame(await applied(output, base), model);
    expect((await readdir(place.path)).toSorted()).toEqual(["adapter", "base", "model"]);
  },
);

test("extract-lora finds the nearest matrix of a smaller rank, in every module", async () => {
  await using place = await withWorkplace();
  const { base, model } = await writeModels(place.path);
  const argv = ["extract-lora", "--model", model, "--base", base, "--max-rank", "2", "--skip-undecomposable"];
  expect(await place.run(...argv, place.at("adapter"), "-e", "embed|head")).toMatchObject({ code: 0 });
  const adapter = await openAdapter(place.at("adapter"));
  const { updates } = resolveAdapter(adapter, (await openCheckpoint(base)).tensors);
  expect(updates.size).toBe(3);
  for (const [name, update] of updates) {
    const shape = shapes[name] ?? [];
    const [rows = 0, columns = 0] = shape;
    const whole = change(Object.keys(shapes).indexOf(name), shape);
    const found = lowRankProduct(adapter.checkpoint, update);
    const error = Math.hypot(...whole.map((value, i) => value - (found[i] ?? 0)));
    const { values } = svd({ rows, columns, data: whole });
    // No matrix of rank 2 is nearer than the third singular value (Eckart & Young 1936).
    expect(error / (values[2] ?? 0)).toBeCloseTo(1, 3);
  }
});

test("extract-lora gives the same bytes on one agent and on several", async () => {
  await using place = await withWorkplace();
  const { base, model } = await writeModels(place.path);
  const argv = ["extract-lora", "--model", model, "--base", base, "--max-rank", "5", "--sv-epsilon", "0.001"];
  for (const [name, agents] of [
    ["one", ["--slots", "1"]],
    ["several", ["--agents", "2", "--slots", "2"]],
  ] as const) {
    expect(await place.run(...argv, place.at(name), ...agents)).toMatchObject({ code: 0 });
  }
  for (const file of await readdir(place.at("one"))) {
    const [a, b] = await Promise.all(["one", "several"].map((name) => readFile(place.at(name, file))));
    expect(a?.equals(b ?? new Uint8Array())).toBe(true);
  }
  const config = JSON.parse(await readFile(place.at("one", "adapter_config.json"), "utf8")) as Record<string, unknown>;
  expect(config).toMatchObject({ r: 3, lora_alpha: 3, bias: "lora_only", fan_in_fan_out: false });
});

test("extract-lora leaves out modules that did not change", async () => {
  await using place = await withWorkplace();
  const { base } = await writeModels(place.path);
  const argv = [
    "extract-lora",
    "--model",
    base,
    "--base",
    base,
    place.at("adapter"),
    "--skip-undecomposable",
    "--json",
  ];
  const { stdout, code } = await place.run(...argv);
  const events = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as JsonEvent);
  expect(code).toBe(0);
  expect(events.map(({ event }) => event)).toEqual(["planned", "factorized", "factorized", "factorized", "done"]);
  expect(events.at(-1)).toMatchObject({ modules: 0, largestRank: 0 });
  await assertSame(await applied(place.at("adapter"), base), base);
});

test.each<[what: string, argv: readonly string[], message: RegExp]>([
  ["an output that exists", ["base"], /^Cannot write to "base": it exists, choose another path\n$/],
  ["an expression that is none", ["out", "-i", "("], /^Cannot use "\(" as an expression: /],
  ["a rank of zero", ["out", "--max-rank", "0"], /It is not a number from 1 to 65536/],
  ["to leave out everything", ["out", "-e", ".*", "--skip-undecomposable"], /every module is left out/],
])("extract-lora refuses %s, with exit code 2", async (_, argv, message) => {
  await using place = await withWorkplace();
  const { base, model } = await writeModels(place.path);
  const [output = "", ...options] = argv;
  const outcome = await place.run("extract-lora", "--model", model, "--base", base, place.at(output), ...options);
  expect(outcome.code).toBe(2);
  expect(outcome.stderr).toMatch(message);
  expect((await readdir(place.path)).toSorted()).toEqual(["base", "model"]);
});

test("extract-lora says which matrix is broken and leaves nothing behind", async () => {
  await using place = await withWorkplace();
  const { base } = await writeModels(place.path);
  const broken = place.at("broken");
  const tensors = Object.entries(shapes).map(([name, shape], i): [string, TestTensor] => {
    const values = randomValues(
      i,
      shape.reduce((product, dimension) => product * dimension, 1),
    );
    if (name.includes("down_proj")) values[3] = Number.NaN;
    return [name, { dtype: "F32", shape, values }];
  });
  await writeCheckpoint(broken, new Map(tensors));
  const outcome = await place.run("extract-lora", "--model", broken, "--base", base, place.at("adapter"));
  expect(outcome.code).toBe(2);
  expect(outcome.stderr).toMatch(/Cannot factorize "model.layers.0.mlp.down_proj.weight": .*NaN or infinite/);
  expect((await readdir(place.path)).toSorted()).toEqual(["base", "broken", "model"]);
});
