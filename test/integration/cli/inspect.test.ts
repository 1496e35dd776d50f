import { open, rm } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { methods } from "../../../shared/methods/index.js";
import { withWorkplace } from "../../support/command.js";
import { smallRecipes, writeSmallModels } from "../../support/small-models.js";

// The commands that look and change nothing: methods, verify and diff.

const work = withWorkplace();
beforeAll(async () => {
  const { path, at, write, run } = await work;
  await writeSmallModels(path);
  const recipe = await write("linear.yaml", smallRecipes.linear);
  for (const output of ["out", "same", "flipped", "short"]) await run("merge", recipe, at(output));
  await using file = await open(at("flipped", "model.safetensors"), "r+");
  await file.write(Uint8Array.of(0x3f), 0, 1, 239);
  await using other = await open(at("short", "model.safetensors"), "r+");
  await other.truncate(180);
});
afterAll(async () => (await work)[Symbol.asyncDispose]());

test("methods describes every method and its parameters", async () => {
  const { run } = await work;
  const { code, stdout, stderr } = await run("methods");
  expect([code, stderr]).toEqual([0, ""]);
  for (const { name, title } of methods.values()) expect(stdout.split("\n")).toContain(`${name}: ${title}`);
  const one = await run("methods", "slerp");
  expect(one.stdout.split("\n")).toEqual([
    "slerp: Slerp (spherical interpolation)",
    "  Moves from the base (t = 0) to the other model (t = 1) along the sphere, tensor by tensor.",
    expect.stringMatching(/^ {2}merges a base and 1 model; Shoemake 1985/),
    "  t (once, a number, required): 0 gives the base, 1 the other model",
    "",
  ]);
});

test("methods --json has what a form needs to be built from", async () => {
  const { run } = await work;
  const all = JSON.parse((await run("methods", "--json")).stdout) as {
    name: string;
    models: unknown;
    merge: unknown;
  }[];
  expect(all.map(({ name }) => name)).toEqual([...methods.keys()]);
  const ties = all.find(({ name }) => name === "ties");
  expect(ties).toMatchObject({
    base: "required",
    models: { min: 1, max: null },
    perModel: { density: { kind: "number", min: 0, max: 1, default: 1 } },
    merge: { normalize: { kind: "boolean", default: true }, scope: { kind: "choice", choices: ["tensor", "model"] } },
  });
});

test("methods suggests what an unknown name may mean", async () => {
  const { run } = await work;
  const { code, stdout, stderr } = await run("methods", "tise");
  expect([code, stdout, stderr]).toEqual([2, "", 'Unknown merge method "tise", did you mean "ties"?\n']);
});

test("verify finds a sound output sound", async () => {
  const { run, at } = await work;
  const { code, stdout, stderr } = await run("verify", at("out"));
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toMatch(/^out: sound, 2 files, \d+ B\n$/);
});

test("verify names the file in which a byte was flipped", async () => {
  const { run, at } = await work;
  const { code, stdout } = await run("verify", at("flipped"));
  const [finding, verdict] = stdout.split("\n");
  expect(code).toBe(1);
  expect(finding).toMatch(/^"model\.safetensors" was changed: its SHA-256 is [0-9a-f]{64} and should be [0-9a-f]{64}$/);
  expect(verdict).toMatch(/^flipped: 1 finding, 2 files, \d+ B$/);
  const report = JSON.parse((await run("verify", at("flipped"), "--json")).stdout) as unknown;
  expect(report).toMatchObject({ isSound: false, findings: [{ file: "model.safetensors", kind: "digest" }] });
});

test("verify names all that is wrong", async () => {
  const { run, at } = await work;
  await rm(at("short", "config.json"));
  const { code, stdout } = await run("verify", at("short"));
  expect(code).toBe(1);
  expect(stdout.split("\n").slice(0, 2)).toEqual([
    '"config.json" is missing',
    '"model.safetensors" has 180 bytes and should have 240',
  ]);
});

test("verify says that a folder is none of ours", async () => {
  const { run, at } = await work;
  const { code, stdout, stderr } = await run("verify", at("base"));
  expect([code, stdout, stderr]).toEqual([2, "", 'Cannot open "base/amalgam.json": it does not exist\n']);
});

test("diff of equal checkpoints says so and exits 0", async () => {
  const { run, at } = await work;
  const { code, stdout, stderr } = await run("diff", at("out"), at("same"));
  expect([code, stdout, stderr]).toEqual([0, "2 tensors: 2 equal\n", ""]);
});

test("diff of different checkpoints names the tensors and exits 1", async () => {
  const { run, at } = await work;
  const { code, stdout } = await run("diff", at("out"), at("flipped"));
  const lines = stdout.split("\n");
  expect(code).toBe(1);
  expect(lines).toHaveLength(3);
  expect(lines[0]).toMatch(/^"norm" {2}max [\d.e+-]+, rms [\d.e+-]+, cosine [-\d.]+, BF16$/);
  expect(lines[1]).toMatch(/^2 tensors: 1 equal, 1 different; largest difference [\d.e+-]+ in "norm"$/);
  const report = JSON.parse((await run("diff", at("out"), at("flipped"), "--json")).stdout) as unknown;
  expect(report).toMatchObject({ totals: { tensors: 2, equal: 1, different: 1, isEqual: false } });
});

test("diff of something that is no checkpoint is refused", async () => {
  const { run, at } = await work;
  const { code, stdout, stderr } = await run("diff", at("out"), at("nowhere"));
  expect([code, stdout, stderr]).toEqual([2, "", 'Cannot open "nowhere": it does not exist\n']);
});
