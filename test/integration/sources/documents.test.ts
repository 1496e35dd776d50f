import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { withTempDir } from "../../support/checkpoints.js";
import { Cluster } from "../../support/cluster/cluster.js";
import { mergeLocally, writeFamily, writeRecipe } from "../../support/merges.js";
import { natsPath, whyNoNats } from "../../support/nats-server.js";
import { hashDirectory } from "../../support/plans.js";

// Documents that are merged first, of models that only one agent has: the whole way through a cluster.

const reason = whyNoNats();

describe.skipIf(reason !== undefined)(`models of agents${reason === undefined ? "" : ` (${reason})`}`, () => {
  test("an agent and the leader are gone: the next leader waits for the models, and the job leaves nothing behind", {
    timeout: 180_000,
  }, async () => {
    await using folder = await withTempDir();
    const [models, away, outputs] = ["models", "away", "outputs"].map((name) => join(folder.path, name)) as [
      string,
      string,
      string,
    ];
    await Promise.all([models, away, outputs].map((path) => mkdir(path)));
    await writeFamily(models);
    const recipe = await writeRecipe(models, "stored_documents");
    const golden = join(folder.path, "golden");
    await mergeLocally(recipe, golden);
    await rename(join(models, "code"), join(away, "code"));
    const text = (await readFile(recipe, "utf8")).replaceAll("model: code", `model: "node://agent-1${away}/code"`);
    await writeFile(recipe, text);
    await using cluster = await Cluster.start({
      folder: folder.path,
      nats: natsPath(),
      agents: 2,
      network: "loopback",
      rootsOf: (agent) => (agent === 1 ? [models, away, outputs] : [models, outputs]),
      agentOptions: () => ["--io-limit", "4MB"],
    });
    const output = join(outputs, "out");
    await using watch = cluster.start("submit", recipe, output, "--watch", "--json");
    await watch.event("stage");
    const led = await watch.line((line) => /"leader":"coordinator-/.test(line));
    const leader = cluster.coordinators.find(({ name }) => led.includes(`"${name}"`));
    await Promise.all([cluster.agent(1).kill(), leader?.kill()]);
    await watch.line((line) => /"waiting".*there is no agent \\"agent-1\\"/.test(line));
    await cluster.agent(1).start();
    expect(await watch.ended).toMatchObject({ code: 0 });
    const { "model.safetensors": weights } = await hashDirectory(output);
    expect(weights).toBe((await hashDirectory(golden))["model.safetensors"]);
    // A job is done before what it leaves is removed.
    await expect.poll(() => readdir(outputs), { timeout: 30_000 }).toEqual(["out"]);
  });
});
