import { mkdir, readdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { writeCompanions } from "../../../../coordinator/assemble/companions.js";
import { withTempDir } from "../../../support/checkpoints.js";
import { makePlan } from "../../../support/plans.js";

test("writeCompanions() copies config and tokenizer from the models that the plan names", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  await mkdir(output);
  const { files, warnings } = await writeCompanions(plan, output);
  expect(files.map(({ name }) => name)).toEqual(["config.json", "tokenizer.json", "tokenizer_config.json"]);
  expect(warnings).toEqual([]);
  const written = await readFile(join(output, "config.json"), "utf8");
  const config = await readFile(join(dir.path, "a", "config.json"), "utf8");
  expect(written).toBe(config.replace('"float32"', '"bfloat16"'));
  expect(await readFile(join(output, "tokenizer.json"), "utf8")).toBe('{"model":0}\n');

  await writeCompanions({ ...plan, companions: { ...plan.companions, tokenizerFrom: 1 } }, output);
  expect(await readFile(join(output, "tokenizer.json"), "utf8")).toBe('{"model":1}\n');
});

test("writeCompanions() writes what was made for the output, and leaves out what holds another vocabulary", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  await mkdir(output);
  await writeFile(join(dir.path, "a", "merges.txt"), "a b\n");
  const companions = {
    ...plan.companions,
    configEdits: [{ path: ["vocab_size"], value: 48 }],
    files: new Map([["tokenizer.json", Buffer.from('{"made":true}')]]),
    withheld: ["merges.txt"],
  };
  const { files } = await writeCompanions({ ...plan, companions }, output);
  expect(files.map(({ name }) => name).sort()).toEqual(["config.json", "tokenizer.json", "tokenizer_config.json"]);
  expect(await readFile(join(output, "tokenizer.json"), "utf8")).toBe('{"made":true}');
  expect(JSON.parse(await readFile(join(output, "config.json"), "utf8"))).toMatchObject({
    rope_theta: 10000.5,
    vocab_size: 48,
  });
});

test("writeCompanions() copies no code and nothing that it does not know", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  for (const name of ["modeling_evil.py", "pytorch_model.bin", "training_args.bin", ".env", "amalgam.json"]) {
    await writeFile(join(dir.path, "a", name), "x");
  }
  const output = join(dir.path, "out");
  await mkdir(output);
  await writeCompanions(plan, output);
  expect((await readdir(output)).sort()).toEqual(["config.json", "tokenizer.json", "tokenizer_config.json"]);
});

test("writeCompanions() follows links within the model and in the Hub's cache, and no others", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const [first] = plan.models;
  const snapshot = join(dir.path, "models--org--name", "snapshots", "0123");
  const blobs = join(dir.path, "models--org--name", "blobs");
  await mkdir(snapshot, { recursive: true });
  await mkdir(blobs);
  await writeFile(join(blobs, "b10b"), '{"from":"cache"}');
  await writeFile(join(dir.path, "secret"), "private");
  await symlink(join("..", "..", "blobs", "b10b"), join(snapshot, "config.json"));
  await symlink(join(dir.path, "secret"), join(snapshot, "tokenizer.json"));
  const output = join(dir.path, "out");
  await mkdir(output);
  const cached = { ...plan, models: first === undefined ? [] : [{ ...first, directory: snapshot }] };
  const { files, warnings } = await writeCompanions(cached, output);
  expect(files.map(({ name }) => name)).toEqual(["config.json"]);
  expect(await readFile(join(output, "config.json"), "utf8")).toBe('{"from":"cache"}');
  expect(warnings).toEqual([expect.stringMatching(/^Not copied from "\.\/a": .*tokenizer\.json.*outside/)]);
});

test("writeCompanions() warns of what it cannot copy and copies the rest", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const model = join(dir.path, "a");
  const output = join(dir.path, "out");
  await mkdir(output);
  await rm(join(model, "tokenizer_config.json"));
  await mkdir(join(model, "tokenizer_config.json"));
  await writeFile(join(model, "config.json"), '{"torch_dtype": ');
  await writeFile(join(model, "merges.txt"), "");
  await truncate(join(model, "merges.txt"), 300 << 20);
  const { files, warnings } = await writeCompanions(plan, output);
  expect(files.map(({ name }) => name)).toEqual(["tokenizer.json"]);
  expect(warnings).toEqual([
    expect.stringContaining("Cannot read config"),
    expect.stringContaining("it is a directory, not a regular file"),
    expect.stringContaining("it has 315 MB, above the limit of 268 MB"),
  ]);
  await rm(join(model, "config.json"));
  expect((await writeCompanions(plan, output)).warnings).toContain(
    'Model "./a" has no "config.json", write one by hand',
  );
  await rm(model, { recursive: true });
  expect((await writeCompanions(plan, output)).warnings).toEqual([expect.stringContaining('Model "./a" is gone')]);
});
