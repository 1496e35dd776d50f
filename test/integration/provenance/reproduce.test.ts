import { cp, mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildManifest, formatManifest, readManifest, recipeFacts } from "../../../coordinator/assemble/manifest.js";
import { Pieces } from "../../../coordinator/assemble/pieces.js";
import { readHeader } from "../../../shared/checkpoint/read-header.js";
import { fixture } from "../../support/adapters.js";
import { randomTensor, writeCheckpoint } from "../../support/checkpoints.js";
import { type Outcome, withWorkplace } from "../../support/command.js";
import { mergeOnce } from "../../support/made-outputs.js";
import { makePlan, testRecipe } from "../../support/plans.js";
import { writeSmallModels } from "../../support/small-models.js";
import { writeLlama } from "../moe/models.js";

// An output is made again from its manifest, somewhere else, and every byte is the same; or it is said what stands in the way.

/** Runs `amalgam reproduce` with the manifest of `out`, moved to where its models are not. */
async function elsewhere(
  work: Awaited<ReturnType<typeof withWorkplace>>,
  ...options: readonly string[]
): Promise<Outcome> {
  await mkdir(work.at("far", "away"), { recursive: true });
  await rename(work.at("out"), work.at("far", "away", "out"));
  return work.run("reproduce", work.at("far", "away", "out"), "--slots", "1", ...options);
}

/** A Llama for `base`, and one for each expert. */
async function withLlamas() {
  const work = await withWorkplace();
  for (const [seed, name] of ["base", "code", "verse"].entries()) await writeLlama(work.at("models", name), seed);
  return work;
}

const reproduced = /^reproduced: \d+ files, every byte the same as amalgam\.json says$/m;

test("a mixture of experts, with its models named one by one", async () => {
  await using work = await withLlamas();
  const experts = "  - { source_model: ../models/code, noise_scale: 0.01 }\n  - { source_model: ../models/verse }\n";
  await mkdir(work.at("configs"));
  const config = await work.write(
    "configs/moe.yaml",
    `base_model: ../models/base\ngate_mode: random\nseed: 7\nexperts:\n${experts}`,
  );
  expect((await work.run("moe", config, work.at("out"), "--slots", "1")).code).toBe(0);
  const named = ["base", "code", "verse"].flatMap((name) => [
    "--model",
    `../models/${name}=${work.at("models", name)}`,
  ]);
  const { code, stdout } = await elsewhere(work, work.at("again"), ...named);
  expect([code, stdout]).toEqual([0, expect.stringMatching(reproduced)]);
  expect((await work.run("diff", work.at("far", "away", "out"), work.at("again"))).code).toBe(0);
  expect((await work.run("verify", work.at("again"))).code).toBe(0);
});

/** Elements of all tensors are ranked together, so that the first document must be there as a whole. */
const documents = `name: first
merge_method: ties
base_model: base
parameters: { scope: model, weight: 1, density: 0.5 }
models: [{ model: math }, { model: code }]
---
merge_method: linear
parameters: { weight: 1 }
models: [{ model: first }, { model: code }]
`;

test("documents that build on one that is merged by itself first, and their files cut as they were", async () => {
  await using work = await withWorkplace();
  await mkdir(work.at("models"));
  await writeSmallModels(work.at("models"));
  const recipe = await work.write("models/documents.yaml", documents);
  const made = await work.run("merge", recipe, work.at("out"), "--slots", "1", "--shard-size", "64");
  expect([made.code, made.stderr]).toEqual([0, expect.stringContaining('"first" is merged by itself first')]);
  const { models, stages = [] } = await readManifest(work.at("out"));
  expect(models.map(({ name }) => name)).toEqual(["first", "code"]);
  expect(stages.map(({ name }) => name)).toEqual(["first"]);
  expect(await readFile(work.at("out", "README.md"), "utf8")).toContain("merge recipe.yaml --shard-size 64 merged/");
  const { code, stdout } = await elsewhere(work, "--recipe-folder", work.at("models"));
  expect([code, stdout]).toEqual([0, expect.stringMatching(reproduced)]);
  expect(stdout).toMatch(/^model-00001-of-00002\.safetensors .* equal$/m);
});

test("an extracted adapter, and one that was merged from it", async () => {
  await using work = await withWorkplace();
  const [base, model] = [work.at("models", "base"), work.at("models", "code")];
  for (const [seed, folder] of [base, model].entries()) {
    const matrices = ["up", "down"].map((name, i) => [`layers.0.${name}.weight`, randomTensor(10 * seed + i, [8, 4])]);
    await writeCheckpoint(folder, Object.fromEntries(matrices));
  }
  const named = ["--model", model, "--base", base, work.at("out"), "--slots", "1"];
  const options = ["--max-rank", "3", "--no-distribute-scale", "--exclude-regex", "down", "--dtype", "float32"];
  expect((await work.run("extract-lora", ...named, ...options)).code).toBe(0);
  expect((await work.run("verify", work.at("out"))).stdout).toMatch(/^out: sound, 2 files/);
  await rename(work.at("models"), work.at("elsewhere"));
  const moved = [`${base}=${work.at("elsewhere", "base")}`, `${model}=${work.at("elsewhere", "code")}`];
  const again = await elsewhere(work, ...moved.flatMap((word) => ["--model", word]));
  expect([again.code, again.stdout]).toEqual([0, expect.stringMatching(reproduced)]);

  await cp(fixture("left"), work.at("left"), { recursive: true });
  await cp(fixture("right"), work.at("right"), { recursive: true });
  const adapters = [work.at("left"), `${work.at("right")}:-0.25`];
  expect((await work.run("merge-adapters", ...adapters, work.at("merged"), "--rank", "2")).code).toBe(0);
  expect((await work.run("verify", work.at("merged"))).code).toBe(0);
  const merged = await work.run("reproduce", work.at("merged", "amalgam.json"));
  expect([merged.code, merged.stdout]).toEqual([0, expect.stringMatching(reproduced)]);
});

let made: Awaited<ReturnType<typeof mergeOnce>>;

beforeAll(async () => {
  made = await mergeOnce();
});

afterAll(async () => {
  await made[Symbol.asyncDispose]();
});

async function withMerge() {
  const work = await made.copy();
  return {
    ...work,
    weights: work.at("math", "model.safetensors"),
    reproduce: (...words: readonly string[]) =>
      work.run("reproduce", work.at("out"), "--recipe-folder", work.path, "--slots", "1", ...words),
  };
}

type Change = (manifest: Record<string, unknown>) => void;

async function editManifest(file: string, change: Change): Promise<void> {
  const manifest = JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>;
  change(manifest);
  await writeFile(file, JSON.stringify(manifest));
}

test("a source whose header or config was changed is named before anything is made", async () => {
  await using work = await withMerge();
  const bytes = await readFile(work.weights);
  // A header may end with spaces, and these are eight more.
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(headerBytes + 8));
  const header = [length, bytes.subarray(8, 8 + headerBytes), Buffer.from(" ".repeat(8))];
  await writeFile(work.weights, Buffer.concat([...header, bytes.subarray(8 + headerBytes)]));
  const config = join(work.weights, "..", "config.json");
  await writeFile(config, `${await readFile(config, "utf8")} `);
  const { code, stderr, stdout } = await work.reproduce(work.at("again"));
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(/^Cannot reproduce it from these models\n/);
  expect(stderr).toContain(`Model "math" is another: "model.safetensors" has`);
  expect(stderr).toContain(`Model "math" is another: "config.json" was changed: its SHA-256 is`);
  expect(await readdir(work.path)).not.toContain("again");
});

test("weights that changed behind the same header are found by what is made of them, tensor by tensor", async () => {
  await using work = await withMerge();
  const { header } = await readHeader(work.weights);
  const handle = await open(work.weights, "r+");
  await handle.write(Buffer.from([1, 2, 3, 0x40]), 0, 4, header.dataOffset);
  await handle.close();
  const { code, stdout } = await work.reproduce();
  expect(code).toBe(1);
  expect(stdout).toMatch(/^model\.safetensors .* different$/m);
  expect(stdout).toMatch(/^not reproduced: "model\.safetensors"$/m);
  expect(stdout).toMatch(/^tensors that differ: "[^"]+"$/m);
});

test("a model that is not there is asked for by name", async () => {
  await using work = await withMerge();
  await rm(join(work.weights, ".."), { recursive: true });
  const missing = await work.reproduce();
  expect([missing.code, missing.stderr]).toEqual([
    2,
    expect.stringContaining("Say where the recipe lay with --recipe-folder"),
  ]);
  const wrong = await work.reproduce("--model", "mathx=here");
  expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('did you mean "math"?')]);
});

test("an output that is there is not taken for one that was made again", async () => {
  await using work = await withMerge();
  const there = await work.reproduce(work.at("out"));
  expect([there.code, there.stdout]).toEqual([2, ""]);
  expect(there.stderr).toBe(
    'Cannot reproduce it in "out": it is not empty, and is not made again: name another folder\n',
  );
  const server = await work.reproduce("s3://bucket/again");
  expect([server.code, server.stderr]).toEqual([2, expect.stringContaining("is compared in a folder, name one")]);
});

test("a manifest of an earlier Amalgam, which knew less, is reproduced all the same", async () => {
  await using work = await withMerge();
  await editManifest(work.at("out", "amalgam.json"), (manifest) => {
    delete manifest["made"];
    manifest["madeWith"] = { amalgam: "0.0.1", node: "20.18.1" };
    for (const model of manifest["models"] as Record<string, unknown>[]) delete model["small"];
  });
  const { code, stdout, stderr } = await work.reproduce("--json");
  expect(code).toBe(0);
  const files = ["model.safetensors", "config.json"].map((name) => ({ name, state: "equal" }));
  const told: unknown = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
  expect(told).toMatchObject({ event: "reproduced", isEqual: true, files });
  expect(stderr).toContain('warning: It was made with Amalgam "0.0.1"');
});

const set =
  (name: string, value: unknown): Change =>
  (manifest) =>
    Object.assign(manifest, { [name]: value });
const sha256 = "0".repeat(64);

test.each<[what: string, change: Change, code: number, message: RegExp]>([
  ["other kernels", set("madeWith", { amalgam: "9", node: "20", kernels: "0" }), 2, /kernels "0".*try with --force$/m],
  [
    "a recipe that was changed",
    set("recipe", { text: "merge_method: linear", sha256 }),
    2,
    /the manifest's recipe was changed/,
  ],
  ["no recipe", set("recipe", undefined), 2, /"recipe"/],
  ["a kind of output that is not known", set("made", { kind: "fusion" }), 2, /"made\.kind"/],
  ["files of no size", set("made", { kind: "merge", shardBytes: 0 }), 2, /"made\.shardBytes"/],
  [
    "a rank of a billion",
    set("made", {
      kind: "merge-adapters",
      adapters: [{ name: "a", weight: 1 }],
      combination: "svd",
      rank: 1e9,
      dtype: "F32",
    }),
    2,
    /"made\.rank"/,
  ],
  ["a file that leads out", set("weights", [{ name: "../../etc/passwd", bytes: 1, sha256 }]), 2, /"weights\.0\.name"/],
  ["models that are not those of the recipe", set("models", []), 1, /does not say what "\.\/a" was/],
  [
    "a model from another address than its name's",
    ({ models }) => Object.assign((models as object[])[0] ?? {}, { origin: `hf://evil/a@${"0".repeat(40)}` }),
    2,
    /"\.\/a": the manifest has it from "hf:\/\/evil\/a@0+", which is another model's address/,
  ],
  [
    "models on a host that nobody allowed",
    set("recipe", recipeFacts(testRecipe.replaceAll("./a", "https://10.0.0.1:8443/a"))),
    2,
    /^The manifest has models on "10\.0\.0\.1:8443": .* add --allow-host 10\.0\.0\.1:8443$/m,
  ],
  ["models that it does not describe", set("models", [{ name: "./a" }]), 2, /"models\.0\./],
])("a manifest with %s is refused, and nothing is made", async (_, change, code, message) => {
  await using work = await withWorkplace();
  const plan = await makePlan(work.path);
  const facts = { recipeText: testRecipe, amalgam: "1", weights: [], companions: [] };
  await work.write("amalgam.json", formatManifest(buildManifest(plan, new Pieces(plan), facts)));
  await editManifest(work.at("amalgam.json"), change);
  const outcome = await work.run("reproduce", work.at("amalgam.json"), work.at("again"));
  expect([outcome.code, outcome.stderr]).toEqual([code, expect.stringMatching(message)]);
  expect(await readdir(work.path)).not.toContain("again");
});
