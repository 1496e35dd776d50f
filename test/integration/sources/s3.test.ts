import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { runAgent } from "../../../node-agent/main.js";
import { withTempDir } from "../../support/checkpoints.js";
import { familyRecipes, mergeLocally, writeFamily } from "../../support/merges.js";
import { whyNoS3 } from "../../support/remote/s3-binary.js";
import { startS3Server } from "../../support/remote/s3-server.js";
import { digestOf, withModelsAt } from "../../support/remote-family.js";

// Models in a bucket of a real server, which agents read by themselves.

const reason = whyNoS3();

test.skipIf(reason !== undefined)(
  `documents with an adapter, all in a bucket, are merged to the bytes of folders${reason === undefined ? "" : ` (${reason})`}`,
  async () => {
    await using folder = await withTempDir();
    await using server = await startS3Server();
    const bucket = await server.bucket();
    const [models, work] = ["models", "work"].map((name) => join(folder.path, name)) as [string, string];
    await Promise.all([models, work].map((path) => mkdir(path)));
    await writeFamily(models);
    for (const model of await readdir(models)) {
      for (const name of await readdir(join(models, model))) {
        await bucket.put(`some/${model}/${name}`, await readFile(join(models, model, name)));
      }
    }
    for (const [name, value] of Object.entries(server.env())) vi.stubEnv(name, value);
    await using agent = await runAgent({ roots: [work, bucket.url("some")], slots: 2, providers: [] });
    const merge = async (at: (model: string) => string, variation = {}): Promise<string> => {
      await writeFile(join(work, "recipe.yaml"), withModelsAt(familyRecipes["documents"] ?? "", at));
      await mergeLocally(join(work, "recipe.yaml"), join(work, "out"), { overwrite: true, ...variation });
      return await digestOf(join(work, "out"));
    };
    try {
      const streamed = { addresses: [agent.address], assembly: "stream", unitBytes: 100_000 } as const;
      const merged = await merge((model) => bucket.url("some", model), streamed);
      expect(await merge((model) => join(models, model))).toBe(merged);
      expect((await readdir(work)).sort()).toEqual(["out", "recipe.yaml"]);
    } finally {
      vi.unstubAllEnvs();
    }
  },
);
