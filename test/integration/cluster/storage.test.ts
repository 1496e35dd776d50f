import { existsSync } from "node:fs";
import { mkdir, open, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { writeBulky } from "../../support/bulky.js";
import { BulkyCluster } from "../../support/cluster/bulky-cluster.js";
import { amalgam } from "../../support/command.js";
import { natsPath, whyNoNats } from "../../support/nats-server.js";
import { fill, noSmallDisk, withSmallDisk } from "../../support/small-disk.js";

// Disks fill up and files change under jobs of a cluster. Each job ends golden, or says what is wrong and keeps its work.

const reason = whyNoNats();
let disk: Awaited<ReturnType<typeof withSmallDisk>>;
let setting: BulkyCluster;

beforeAll(async () => {
  if (reason !== undefined) return;
  disk = await withSmallDisk("64m");
  setting = await BulkyCluster.start({
    network: "loopback",
    nats: natsPath(),
    agents: 3,
    ioLimit: "6MB",
    extraRoots: disk === undefined ? [] : [disk.path],
  });
});
afterEach(() => setting?.cluster.heal());
afterAll(async () => {
  await setting?.[Symbol.asyncDispose]();
  await disk?.[Symbol.asyncDispose]();
});

describe.skipIf(reason !== undefined)(`storage${reason === undefined ? "" : ` (${reason})`}`, () => {
  test.for(["direct", "stream"])(
    "S1: the output's disk fills up in the middle of a job, %s",
    async (assembly, { skip }) => {
      const { path } = disk ?? skip(noSmallDisk);
      const argv = ["--assembly", assembly];
      await using failing = await setting.begin({ argv, output: join(path, assembly, `${assembly}-merge`) });
      await failing.unitsDone(20);
      const giveBack = await fill(path);
      const { code, stderr } = await failing.watch.ended;
      await giveBack();
      expect([code, failing.watch.events.at(-1)]).toEqual([1, expect.objectContaining({ code: "out_of_space" })]);
      expect(stderr).toContain("Cannot write");
      expect(existsSync(failing.output)).toBe(false);

      await using job = await setting.begin({ argv, output: failing.output });
      await job.expectDone();
      const resumed = job.watch.events.find(({ event }) => event === "resumed");
      expect(resumed).toMatchObject({ redonePieces: 0 });
      expect(Number(resumed?.["keptPieces"])).toBeGreaterThanOrEqual(20);
    },
  );

  test("S7: a source changes in the middle of a job", async () => {
    const models = join(setting.folder, "models", "edited");
    await mkdir(models);
    const { linear } = await writeBulky(models);
    const source = join(models, "b", "model.safetensors");
    await using job = await setting.begin({ recipeFile: linear });
    await job.unitsDone(20);
    await using file = await open(source, "r+");
    await file.write(Buffer.alloc(1024, 1), 0, 1024, (await file.stat()).size - 1024);
    const { code, stderr } = await job.watch.ended;
    expect([code, stderr]).toEqual([1, expect.stringContaining(source)]);
    expect(existsSync(job.output)).toBe(false);
  });

  test("S9: what a job left is kept while it can be gone on from, then removed, and made again", async () => {
    const { cluster } = setting;
    await using job = await setting.begin();
    await job.unitsDone(20);
    const folder = dirname(job.output);
    const gc = async (...argv: readonly string[]): Promise<readonly string[]> => {
      expect(await amalgam("gc", folder, ...argv)).toMatchObject({ code: 0, stderr: "" });
      return readdir(folder);
    };
    // Somebody works on it.
    expect(await gc("--older-than", "0s")).toHaveLength(1);
    await Promise.all([...cluster.coordinators, ...cluster.agents].map((node) => node.kill()));
    expect(await gc()).toHaveLength(1);
    expect(await gc("--older-than", "0s")).toEqual([]);
    await cluster.heal();
    await job.expectDone();
  });
});
