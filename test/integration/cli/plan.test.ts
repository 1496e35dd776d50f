import { afterAll, beforeAll, expect, test } from "vitest";
import { randomTensor, writeCheckpoint } from "../../support/checkpoints.js";
import { withWorkplace } from "../../support/command.js";
import { recipeFor } from "../../support/planning.js";
import { smallRecipes, smallTensors, writeSmallModels } from "../../support/small-models.js";

const work = withWorkplace();
beforeAll(async () => {
  const { path, at, write } = await work;
  await writeSmallModels(path);
  await writeCheckpoint(at("wide"), { ...smallTensors(7), norm: randomTensor(1, [4], "F32") });
  await write("ties.yaml", smallRecipes.ties);
  await write("warns.yaml", recipeFor("linear", ["math", "wide"], { each: "weight: 1" }));
});
afterAll(async () => (await work)[Symbol.asyncDispose]());

test("plan says what a merge takes", async () => {
  const { run, at } = await work;
  const { code, stdout, stderr } = await run("plan", at("ties.yaml"), "--slots", "2");
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout.split("\n").map((line) => line.replace(/[0-9a-f]{64}/, "<digest>"))).toEqual([
    "ties of 2 models and a base, 2 tensors, 36 parameters",
    "  math  240 B  2 BF16  weight 1, density 0.5",
    "  code  240 B  2 BF16  weight 1, density 0.5",
    "  base  240 B  2 BF16  base",
    "  reads   648 B (216 B of sources)",
    "  writes  240 B in 1 file: 2 BF16",
    "  units   1 of up to 72 B",
    expect.stringMatching(/^ {2}memory {2}[\d.]+ MB of tensor data per agent$/),
    "  disk    245 B needed",
    "  digest  <digest>",
    "",
  ]);
});

test("plan --json has the same as data", async () => {
  const { run, at } = await work;
  const { code, stdout, stderr } = await run("plan", at("ties.yaml"), "--json");
  expect([code, stderr, stdout.trim().split("\n").length]).toEqual([0, "", 1]);
  const model = { isBase: false, tensors: 2, bytes: 240, dtypes: { BF16: 2 }, parameters: { weight: 1, density: 0.5 } };
  expect(JSON.parse(stdout)).toEqual({
    method: "ties",
    seed: 0,
    digest: expect.stringMatching(/^[0-9a-f]{64}$/),
    models: [
      { ...model, name: "math" },
      { ...model, name: "code" },
      { ...model, name: "base", isBase: true, parameters: {} },
    ],
    tensors: 2,
    parameters: 36,
    bytesIn: 216,
    bytesRead: 648,
    bytesOut: 240,
    units: 1,
    largestUnit: 72,
    memoryPerAgent: expect.any(Number),
    diskNeeded: 245,
    files: [{ name: "model.safetensors", bytes: 240 }],
    config: [],
    companions: [],
    warnings: [],
  });
});

test("plan --strict turns warnings into a failure", async () => {
  const { run, at } = await work;
  const warning = 'warning: Dtypes differ (BF16 in "math", F32 in "wide"): "norm"';
  const lenient = await run("plan", at("warns.yaml"));
  const strict = await run("plan", at("warns.yaml"), "--strict");
  expect(lenient.stdout.trimEnd().split("\n").at(-1)).toBe(warning);
  expect([lenient.code, strict.code, strict.stdout]).toEqual([0, 1, lenient.stdout]);
  expect((await run("plan", at("ties.yaml"), "--strict")).code).toBe(0);
});

test("plan and merge agree on the digest, and the manifest has it", async () => {
  const { run, at } = await work;
  const { digest } = JSON.parse((await run("plan", at("ties.yaml"), "--json")).stdout) as { digest: string };
  const merged = await run("merge", at("ties.yaml"), at("out"), "--json", "--agents", "2");
  const events = merged.stdout.trim().split("\n");
  expect(JSON.parse(events.at(-1) ?? "")).toMatchObject({ event: "done", digest, alreadyComplete: false, retries: 0 });
  expect(JSON.parse((await run("verify", at("out"), "--json")).stdout)).toMatchObject({ planDigest: digest });
});

test("a model's name in a recipe cannot move the cursor", async () => {
  const { run, at, write } = await work;
  const name = "escape\u001b[2Jd";
  await writeCheckpoint(at(name), smallTensors(3));
  const recipe = await write("escape.yaml", recipeFor("linear", ["math", '"escape\\e[2Jd"'], { each: "weight: 1" }));
  const { code, stdout } = await run("plan", recipe);
  expect(code).toBe(0);
  expect(stdout).toContain("escape");
  expect(stdout.replaceAll("\n", "")).not.toMatch(/\p{C}/u);
});
