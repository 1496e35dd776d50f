import { mkdir, readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { parseSweep } from "../../../coordinator/sweep/spec/read.js";
import { RecipePlanner } from "../../../coordinator/sweep/trials/recipe-planner.js";
import { withTempDir } from "../../support/checkpoints.js";
import { amalgam } from "../../support/command.js";
import { writeFamily } from "../../support/merges.js";
import { type Nginx, startNginx, whyNoNginx } from "../../support/remote/nginx.js";
import { repositoryPath } from "../../support/repository.js";

// Commands that read all of a model, or run it, download what is on a server and go on as with a folder.

const digits = repositoryPath("examples", "digits");
const served = test.skipIf(whyNoNginx() !== undefined);
let folder: Awaited<ReturnType<typeof withTempDir>>;
let nginx: Nginx;

beforeAll(async () => {
  if (whyNoNginx() !== undefined) return;
  folder = await withTempDir();
  const root = join(folder.path, "served");
  await mkdir(root);
  await writeFamily(root);
  await symlink(digits, join(root, "digits"));
  nginx = await startNginx({ root });
  vi.stubEnv("XDG_CACHE_HOME", join(folder.path, "cache"));
});

afterAll(async () => {
  vi.unstubAllEnvs();
  for (const item of [nginx, folder]) await item?.[Symbol.asyncDispose]();
});

served("an adapter from a server is merged as one from a folder, and is called what it is called there", async () => {
  const [local, remote] = ["local", "remote"].map((name) => join(folder.path, name)) as [string, string];
  const adapter = join(folder.path, "served", "lora");
  expect(await amalgam("merge-adapters", `${adapter}:0.5`, local)).toMatchObject({ code: 0 });
  expect(await amalgam("merge-adapters", `${nginx.url}/lora:0.5`, remote)).toMatchObject({ code: 0 });
  const weights = "adapter_model.safetensors";
  expect(await readFile(join(remote, weights))).toEqual(await readFile(join(local, weights)));
  expect(await readFile(join(remote, "README.md"), "utf8")).toContain(`${nginx.url}/lora`);
});

served("a model from a server is scored as the same from a folder", async () => {
  const tasks = join(digits, "tasks.yaml");
  const [here, there] = [join(digits, "base"), `${nginx.url}/digits/base`];
  const score = async (model: string): Promise<unknown> => {
    const out = join(folder.path, `scores-${model.length}`);
    const outcome = await amalgam("eval", model, tasks, "--limit", "3", "--out", out, "--json");
    expect(outcome).toMatchObject({ code: 0, stderr: "" });
    const lines = (await readFile(join(out, "records.jsonl"), "utf8")).trim().split("\n");
    return lines.map((line) => JSON.parse(line) as unknown);
  };
  expect(await score(there)).toEqual(await score(here));
});

served("a sweep over models on a server plans what the same over folders plans", async () => {
  const sweep = (at: string): string =>
    [
      `recipe: {merge_method: task_arithmetic, base_model: ${at}/base, models: [{model: ${at}/experts/rotated, parameters: {weight: {range: [0, 1]}}}]}`,
      `tasks: ${digits}/tasks.yaml`,
      "search: random",
      "budget: {trials: 2}",
      "",
    ].join("\n");
  const progress: string[] = [];
  const plans = await Promise.all(
    [digits, `${nginx.url}/digits`].map(async (at) => {
      const { template } = await parseSweep(sweep(at), join(folder.path, "sweep.yaml"), {
        onProgress: (model) => progress.push(model),
      });
      const text = template.render({});
      expect(text).toContain(`${at}/base`);
      return await new RecipePlanner(template.file, template.otherPath).plan(text);
    }),
  );
  expect(plans[1]?.plan.digest).toBe(plans[0]?.plan.digest);
  expect(progress).toContain(`${nginx.url}/digits/experts/rotated`);
});

served("what is on no server is told with the name that was given", async () => {
  const outcome = await amalgam("merge-adapters", `${nginx.url}/lore`, join(folder.path, "none"));
  expect(outcome).toMatchObject({ code: 2, stdout: "" });
  expect(outcome.stderr).toContain(`Cannot find model "${nginx.url}/lore": `);
});
