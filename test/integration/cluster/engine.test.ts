import { existsSync } from "node:fs";
import { cp, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { readJob } from "../../../coordinator/cluster/jobs.js";
import { openBus } from "../../../shared/bus/nats/open.js";
import { keys } from "../../../shared/cluster/records.js";
import { bulkyUnits } from "../../support/bulky.js";
import { BulkyCluster, type BulkyJob } from "../../support/cluster/bulky-cluster.js";
import { triesAllFaults } from "../../support/faults.js";
import { natsBinaries, natsPath } from "../../support/nats-server.js";
import { fill, noSmallDisk, withSmallDisk } from "../../support/small-disk.js";

// NATS is killed, frozen, emptied, filled up and put back in time in the middle of jobs, and sometimes the leader dies
// with it. What is finished stays finished, for the journal is the truth.

const chosen = natsBinaries().find(({ reason }) => reason === undefined)?.binary;

describe.each(natsBinaries())("on nats-server ($binary)", ({ binary, reason }) => {
  let setting: BulkyCluster;
  let disk: Awaited<ReturnType<typeof withSmallDisk>>;

  beforeAll(async () => {
    if (reason !== undefined) return;
    disk = await withSmallDisk("400m");
    const sightOf = (agent: number) => (agent === 3 ? (["models"] as const) : (["models", "outputs"] as const));
    const natsData = disk && { natsData: join(disk.path, "nats") };
    const where = { network: "loopback", nats: natsPath(binary), ...natsData } as const;
    setting = await BulkyCluster.start({ ...where, agents: 3, sightOf, ioLimit: "6MB" });
  });
  afterEach(() => setting?.cluster.heal());
  afterAll(async () => {
    await setting?.[Symbol.asyncDispose]();
    await disk?.[Symbol.asyncDispose]();
  });

  const needed = { skip: reason !== undefined };
  /** On one of the servers, unless every fault is tried: a server that is frozen is the same as any other. */
  const notTwice = { skip: reason !== undefined || (binary !== chosen && !triesAllFaults) };

  test("N4: NATS is killed and started again, again and again", needed, async () => {
    const { nats } = setting.cluster;
    await using job = await setting.begin();
    for (const units of [5, 40, 80]) {
      await job.unitsDone(units);
      await nats.kill();
      await sleep(300);
      await nats.start();
    }
    await job.expectDone();
  });

  test("N4: NATS is frozen, for a moment and for longer than a leader may be silent", notTwice, async () => {
    const { nats } = setting.cluster;
    await using job = await setting.begin();
    for (const [units, ms] of [
      [10, 500],
      [40, 6_000],
    ] as const) {
      await job.unitsDone(units);
      nats.freeze();
      await sleep(ms);
      nats.thaw();
    }
    await job.expectDone();
  });

  test.each([
    { what: "data from early in the job", changes: (early: string) => restore(early) },
    { what: "no data at all", changes: () => wipe },
  ])("N5: NATS comes back with $what", needed, async ({ changes }) => {
    await using job = await setting.begin();
    await job.unitsDone(5);
    const early = await snapshot(setting);
    await job.unitsDone(40);
    await setting.cluster.changeEngineData(changes(early));
    await job.expectDone();
    expect(job.count("leading")).toBeGreaterThan(0);
  });

  test(
    "N6: NATS has no room left: no work is lost, and the job ends when there is room again",
    needed,
    async ({ skip }) => {
      const { cluster } = setting;
      const { path } = disk ?? skip(noSmallDisk);
      await using job = await setting.begin();
      await job.unitsDone(20);
      const giveBack = await fill(path);
      // 2.9 takes what it cannot store without a word. It is then gone after the next start, and told again by the leader.
      if (binary === "debian") await sleep(2_000);
      else {
        await using bus = await openBus({ url: cluster.natsUrl, name: "test" });
        const put = bus.state.put("test.ballast", "x".repeat(64 << 10));
        await expect(put).rejects.toMatchObject({ code: "bus_failed" });
      }
      await giveBack();
      // A stream that could not write once does not write again before that.
      await cluster.nats.kill();
      await cluster.nats.start();
      await job.expectDone();
    },
  );

  // What follows is about coordinators, and one nats-server is as good as another.
  describe.skipIf(reason !== undefined || binary !== chosen)("and with it", () => {
    test("N5: NATS comes back with data from early in the job, and the leader is dead", async () => {
      await using job = await setting.begin();
      await job.unitsDone(5);
      const early = await snapshot(setting);
      await job.unitsDone(40);
      const { leader } = job;
      await leader.kill();
      await setting.cluster.changeEngineData(restore(early));
      await job.expectDone();
      expectNothingRedone(job);
    });

    test("N5: NATS and all coordinators are gone: the same submit again goes on from the journal", async () => {
      const { cluster } = setting;
      await using lost = await setting.begin();
      await lost.unitsDone(40);
      await Promise.all(cluster.coordinators.map((coordinator) => coordinator.kill()));
      await cluster.wipeEngine();
      // Agents join anew before there is a coordinator; whoever followed the job is told that nobody knows it any more.
      await Promise.all(cluster.coordinators.map((coordinator) => coordinator.start()));
      const { code, stderr } = await lost.watch.ended;
      expect([code, stderr]).toEqual([1, expect.stringMatching(/^NATS lost job .* submit it again/)]);
      await using job = await setting.begin({ output: lost.output });
      await job.expectDone();
      expectNothingRedone(job);
    });

    test(
      "N3: a job that is done is led once more when NATS forgets its end, and nothing is published again",
      needed,
      async () => {
        const { cluster } = setting;
        await using job = await setting.begin();
        await job.unitsDone(40);
        const before = await snapshot(setting);
        await job.expectDone();
        const published = await job.published();
        await cluster.changeEngineData(restore(before));
        const follower = cluster.start("watch", job.id, "--json");
        await follower.event("already complete");
        expect((await follower.ended).code).toBe(0);
        expect(await job.published()).toBe(published);
        await job.expectGolden();
      },
    );

    test("N3: a leader dies right after it published: the next one finds that nothing is left to do", async () => {
      const { cluster } = setting;
      await using job = await setting.begin();
      await job.unitsDone(40);
      const { leader } = job;
      while (!existsSync(job.output)) await sleep(1);
      // So that it cannot tell, if it has not yet.
      cluster.nats.freeze();
      const published = await job.published();
      await leader.kill();
      cluster.nats.thaw();
      await job.expectDone();
      expect(await job.published()).toBe(published);
      expect(
        cluster.coordinators.filter(({ output }) => output.includes(`${job.output} is complete`)).length,
      ).toBeLessThan(2);
    });

    test("N2: a job that is over is delivered again, and nobody does anything", async () => {
      const { cluster } = setting;
      await using job = await setting.begin();
      await job.expectDone();
      const published = await job.published();
      await using bus = await openBus({ url: cluster.natsUrl, name: "test" });
      const before = await bus.state.get(keys.job(job.id));
      await bus.jobs.publish(`${job.id}-again`, job.id);
      // The queue hands out in order, so whoever does this one has dealt with that one.
      await using next = await setting.begin({ output: job.output });
      await next.watch.event("already complete");
      await next.expectDone();
      expect(readJob(await bus.state.get(keys.job(job.id)))).toEqual(readJob(before));
      expect(await job.published()).toBe(published);
    });
  });
});

async function snapshot({ cluster, folder }: BulkyCluster): Promise<string> {
  const copy = join(folder, `snapshot-${++snapshots}`);
  await cluster.changeEngineData((data) => cp(data, copy, { recursive: true }));
  return copy;
}
let snapshots = 0;

function restore(copy: string): (data: string) => Promise<void> {
  return async (data) => {
    await wipe(data);
    await mkdir(data, { recursive: true });
    for (const name of await readdir(copy)) await cp(join(copy, name), join(data, name), { recursive: true });
  };
}

function wipe(data: string): Promise<void> {
  return rm(data, { recursive: true, force: true });
}

/** What was accepted before was kept, and only the rest was run. */
function expectNothingRedone(job: BulkyJob): void {
  const resumed = job.watch.events.findLast(({ event }) => event === "resumed");
  expect(resumed).toMatchObject({ redonePieces: 0 });
  const kept = Number(resumed?.["keptPieces"]);
  expect(kept).toBeGreaterThanOrEqual(40);
  const writing = job.watch.events.findLast(({ event }) => event === "writing");
  expect(writing?.["units"]).toBe(bulkyUnits - kept);
}
