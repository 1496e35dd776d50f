import { once } from "node:events";
import { mkdir, readdir, readFile, rename } from "node:fs/promises";
import { createServer } from "node:http";
import { afterEach, expect, test, vi } from "vitest";
import { formatManifest, readManifest } from "../../../coordinator/assemble/manifest.js";
import { withWorkplace } from "../../support/command.js";
import { recipeFor } from "../../support/planning.js";
import { startHub } from "../../support/remote/hub.js";
import { portOf } from "../../support/remote/ports.js";
import { serveBytes } from "../../support/remote/serve-bytes.js";
import { writeSmallModels } from "../../support/small-models.js";

// What a manifest knows of models on servers is enough to make the output again.

afterEach(() => {
  vi.unstubAllEnvs();
});

async function filesOf(folder: string): Promise<Record<string, Buffer>> {
  const names = await readdir(folder);
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(`${folder}/${name}`)])));
}

test("models of the Hub are taken at the commits that they were of, with their licences", async () => {
  await using work = await withWorkplace();
  await writeSmallModels(work.path);
  const card = "---\nlicense: apache-2.0\n---\n";
  const [math, code] = [await filesOf(work.at("math")), await filesOf(work.at("code"))];
  const models = {
    "family/math": { files: { ...math, "README.md": card } },
    "family/code": { files: { ...code, "README.md": card } },
  };
  await using hub = await startHub({ models, tokens: ["hf_good"] });
  vi.stubEnv("HF_ENDPOINT", hub.url);
  vi.stubEnv("HF_HOME", work.at("home"));
  const commit = hub.commitOf("family/math");
  await work.write("recipe.yaml", recipeFor("linear", ["family/math", "hf://family/code@main"], { each: "weight: 1" }));
  const merged = await work.run("merge", work.at("recipe.yaml"), work.at("out"), "--slots", "1");
  expect([merged.code, merged.stderr]).toEqual([0, expect.not.stringContaining("warning")]);
  const [first] = (await readManifest(work.at("out"))).models;
  expect(first).toMatchObject({ name: "family/math", origin: `hf://family/math@${commit}`, license: "apache-2.0" });
  expect(first?.files[0]?.version).toMatch(/^[0-9a-f]{64}$/);
  const readme = await readFile(work.at("out", "README.md"), "utf8");
  expect(readme).toContain('base_model:\n- "family/math"\n- "family/code"\n');
  expect(readme).toContain("license: apache-2.0\n");

  hub.push("family/math", { ...code, "README.md": card });
  await mkdir(work.at("elsewhere"));
  await rename(work.at("out"), work.at("elsewhere", "out"));
  const again = await work.run("reproduce", work.at("elsewhere", "out"), "--slots", "1");
  expect([again.code, again.stdout]).toEqual([0, expect.stringMatching(/^reproduced: 2 files/m)]);
});

test("a file that a server has in another state by now is named before its weights are read", async () => {
  await using work = await withWorkplace();
  await writeSmallModels(work.path);
  let version = "1";
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? "");
    readFile(work.at(path)).then(
      (bytes) => serveBytes(request, response, bytes, `"${path}-${version}"`),
      () => response.writeHead(404).end(),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const url = `http://127.0.0.1:${portOf(server)}`;
    await work.write("recipe.yaml", recipeFor("linear", [`${url}/math`, `${url}/code`], { each: "weight: 1" }));
    expect((await work.run("merge", work.at("recipe.yaml"), work.at("out"), "--slots", "1")).code).toBe(0);
    const manifest = await readManifest(work.at("out"));
    expect(formatManifest(manifest)).not.toContain(work.path);
    version = "2";
    const changed = await work.run("reproduce", work.at("out"), work.at("again"), "--slots", "1");
    expect([changed.code, changed.stderr]).toEqual([
      1,
      expect.stringMatching(/^The server has another version of "model\.safetensors" of model "http:[^"]*math"/m),
    ]);
    expect(await readdir(work.path)).not.toContain("again");
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
