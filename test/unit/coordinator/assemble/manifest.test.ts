import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { buildManifest, formatManifest, readManifest } from "../../../../coordinator/assemble/manifest.js";
import { Pieces } from "../../../../coordinator/assemble/pieces.js";
import { describeSources } from "../../../../coordinator/provenance/source-facts.js";
import { kernelsVersion } from "../../../../shared/rpc/version.js";
import { withTempDir } from "../../../support/checkpoints.js";
import { makePlan, resultFor, testRecipe } from "../../../support/plans.js";

const facts = { recipeText: testRecipe, amalgam: "1.2.3", weights: [], companions: [] };

test("A manifest adds up what the receipts say and comes back as it was written", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const pieces = new Pieces(plan);
  const first = resultFor(plan, { tensor: 0, begin: 0, end: 600 });
  pieces.add({ ...first, nonFinite: 2, overflowed: 1, largest: 3, inputsNonFinite: [0, 4] });
  const second = resultFor(plan, { tensor: 0, begin: 600, end: 640 });
  pieces.add({ ...second, nonFinite: 5, largest: Number.POSITIVE_INFINITY, inputsNonFinite: [0, 3] });
  pieces.add(resultFor(plan, { tensor: 1, begin: 0, end: 16 }));
  const manifest = buildManifest(plan, pieces, {
    ...facts,
    weights: [{ name: "x", bytes: 1, sha256: "0".repeat(64) }],
  });
  expect(manifest.tensors).toEqual([
    ["embed.weight", 7, 1, Number.POSITIVE_INFINITY],
    ["norm.weight", 0, 0, 1],
    ["head.weight", 0, 0, 0],
  ]);
  expect(manifest.numbers).toEqual({ nonFinite: 7, overflowed: 1, tensors: ["embed.weight"] });
  expect(manifest.models.map(({ nonFinite }) => nonFinite)).toEqual([0, 7]);

  await writeFile(join(dir.path, "amalgam.json"), formatManifest(manifest));
  expect(await readManifest(dir.path)).toEqual(manifest);
});

test("A manifest names no folder of this machine and no time", async () => {
  await using dir = await withTempDir();
  await using other = await withTempDir();
  const texts = [];
  for (const { path } of [dir, other]) {
    const plan = await makePlan(path);
    const text = formatManifest(buildManifest(plan, new Pieces(plan), facts));
    expect(text).not.toContain(path);
    texts.push(text);
  }
  expect(texts[0]).toBe(texts[1]);
});

test("readManifest() refuses what is broken or would lead out of the directory, and names the place", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const sound = formatManifest(buildManifest(plan, new Pieces(plan), facts));
  const entry = (name: string): string =>
    sound.replace(
      '"weights": []',
      `"weights": [{"name": ${JSON.stringify(name)}, "bytes": 1, "sha256": "${"0".repeat(64)}"}]`,
    );
  const path = join(dir.path, "amalgam.json");
  const wrong = [
    ["", "it is not as Amalgam writes it"],
    ["[]", "it is not as Amalgam writes it"],
    [sound.replace('"version": 1', '"version": 2'), '"version" is not'],
    [sound.replace('"seed": 0', '"seed": "0"'), '"seed" is not'],
    ...["../x.safetensors", "/etc/passwd", "..", "a\\b", "a\u0000", ""].map((name) => [
      entry(name),
      '"weights.0.name"',
    ]),
  ] as const;
  for (const [text = "", problem] of wrong) {
    await writeFile(path, text);
    await expect(readManifest(dir.path)).rejects.toMatchObject({
      code: "checkpoint_malformed",
      message: expect.stringContaining(problem ?? ""),
    });
  }
  await writeFile(path, entry("model.safetensors"));
  expect((await readManifest(dir.path)).weights).toHaveLength(1);
});

test("A manifest says what a later run needs: how it was made, from what, and by which arithmetic", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const made = { kind: "merge", shardBytes: 1e6 } as const;
  const models = plan.models.map((model) => ({ ...model, origin: `hf://org/${model.name.slice(2)}@0123` }));
  const remote = { url: "hf://org/a@0123/model.safetensors", version: "abc" };
  const remotePlan = { ...plan, models, sources: plan.sources.map((source) => ({ ...source, remote })) };
  const sources = await describeSources(remotePlan);
  const manifest = buildManifest(remotePlan, new Pieces(plan), { ...facts, made, sources });
  expect(manifest.madeWith).toMatchObject({ amalgam: "1.2.3", kernels: kernelsVersion });
  expect(manifest.made).toEqual(made);
  expect(manifest.models[0]).toMatchObject({
    name: "./a",
    origin: "hf://org/a@0123",
    files: [{ name: "model.safetensors", version: "abc" }],
    small: [{ name: "config.json" }, { name: "tokenizer.json" }, { name: "tokenizer_config.json" }],
  });
  // Its tokenizer is not the output's.
  expect(manifest.models[1]?.small?.map(({ name }) => name)).toEqual(["config.json"]);
  await writeFile(join(dir.path, "amalgam.json"), formatManifest(manifest));
  expect(await readManifest(dir.path)).toEqual(manifest);
});

test("What a later Amalgam writes into a manifest, and we do not know, stands in nobody's way", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const manifest = buildManifest(plan, new Pieces(plan), facts);
  const later = { ...manifest, made: { kind: "fusion", more: 1 }, seal: "x" };
  await writeFile(join(dir.path, "amalgam.json"), JSON.stringify(later));
  expect((await readManifest(dir.path)).made).toEqual({ kind: "fusion", more: 1 });
});
