import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { parseRecord } from "../../../coordinator/assemble/parse-record.js";
import { entriesOf, readStaging, stagingRoot } from "../../../coordinator/assemble/staging-paths.js";
import { bulkyUnits } from "../../support/bulky.js";
import { BulkyCluster, type BulkyJob } from "../../support/cluster/bulky-cluster.js";
import type { NodeProcess } from "../../support/cluster/node-process.js";
import { startAmalgam } from "../../support/command.js";
import { triesAllFaults } from "../../support/faults.js";
import { natsPath, whyNoNats } from "../../support/nats-server.js";

// The coordinator that leads is killed, frozen and told to end at many moments of a job. Another one goes on from the
// journal, and what the old one still does changes nothing. Agent 1 writes the output itself, 2 does not see it and streams.

const reason = whyNoNats();
let setting: BulkyCluster;

beforeAll(async () => {
  if (reason !== undefined) return;
  const sightOf = (agent: number) => (agent === 2 ? (["models"] as const) : (["models", "outputs"] as const));
  setting = await BulkyCluster.start({ nats: natsPath(), agents: 2, sightOf, ioLimit: "12MB" });
});
afterEach(() => setting?.cluster.heal());
afterAll(() => setting?.[Symbol.asyncDispose]());

/** Before the first byte, in the middle, and in the commit. After each record of the journal: `../commit/crash.test.ts`. */
const moments = {
  "when the job is planned": (job) => job.watch.event("planned"),
  "in the middle": (job) => job.unitsDone(60),
  "in the commit": inCommit,
} satisfies Record<string, (job: BulkyJob) => Promise<unknown>>;
type Moment = keyof typeof moments;

/** When the first file has come that only a commit writes: a few milliseconds before the output is shown. */
async function inCommit(job: BulkyJob): Promise<void> {
  // Progress is told now and then, and must not be told too late.
  await job.unitsDone(bulkyUnits / 2);
  while (!existsSync(job.output)) {
    const [files] = entriesOf(await readStaging(stagingRoot(job.output)), "output");
    if (files !== undefined && existsSync(join(files.path, "config.json"))) return;
  }
}

/** At the moment, and when it is known who leads. */
async function ledUntil(job: BulkyJob, moment: Moment): Promise<NodeProcess> {
  await job.led();
  await moments[moment](job);
  return job.leader;
}

describe.skipIf(reason !== undefined)(`leaders fail${reason === undefined ? "" : ` (${reason})`}`, () => {
  test.each(Object.keys(moments) as Moment[])("P6: killed %s", async (moment) => {
    await using job = await setting.begin();
    const leader = await ledUntil(job, moment);
    await leader.kill();
    const kept = await piecesKept(job);
    const published = existsSync(job.output) ? await job.published() : undefined;
    await Promise.all([job.expectDone(), setting.cluster.heal()]);
    if (published !== undefined) expect(await job.published()).toBe(published);
    else expectOnlyTheRest(job, kept);
  });

  const some: readonly Moment[] = triesAllFaults ? (Object.keys(moments) as Moment[]) : ["in the commit"];
  test.each(some)("P7: frozen %s, and back when all is over", async (moment) => {
    await using job = await setting.begin();
    const leader = await ledUntil(job, moment);
    leader.freeze();
    const from = leader.output.length;
    await job.expectDone();
    const tookOver = job.count("leading") > 1;
    await job.expectNoEchoes();
    if (tookOver) await expectAbdication(job, leader, from);
  });

  test("P7: frozen in the middle, and back while the other one leads", async () => {
    await using job = await setting.begin();
    await job.unitsDone(20);
    const { leader } = job;
    leader.freeze();
    const from = leader.output.length;
    await job.watch.event("leading", 2);
    leader.thaw();
    await expectAbdication(job, leader, from);
    await job.expectDone();
    expect(job.leader.name).not.toBe(leader.name);
    await job.expectNoEchoes();
  });

  test("P8: others that want to make the same output are refused, and the job goes on", async () => {
    const { cluster, recipes } = setting;
    await using job = await setting.begin();
    await job.unitsDone(10);
    // So that the job lasts until they have tried.
    for (const agent of cluster.agents) agent.freeze();
    const { prefix } = cluster.network.host("client");
    await using merge = startAmalgam(["merge", recipes.linear, job.output], { prefix });
    await using submit = cluster.start("submit", recipes.linear, job.output, "--watch");
    for (const { code, stderr } of await Promise.all([merge.ended, submit.ended])) {
      expect([code, stderr]).toEqual([2, expect.stringMatching(/process \d+ on .* is merging into the same output/)]);
    }
    for (const agent of cluster.agents) agent.thaw();
    await job.expectDone();
  });

  test("P10: told to end by SIGTERM: it hands the job over", async () => {
    await using job = await setting.begin();
    await job.unitsDone(40);
    const { leader } = job;
    const { ended } = leader;
    await leader.kill("SIGTERM");
    expect(await ended).toBe(0);
    const kept = await piecesKept(job);
    await job.expectDone();
    expectOnlyTheRest(job, kept);
    expect(job.leader.name).not.toBe(leader.name);
    expect(job.watch.events).toContainEqual(expect.objectContaining({ event: "state", state: "queued" }));
  });
});

/** Pieces in the journal that a leader left behind. */
async function piecesKept({ output }: BulkyJob): Promise<number> {
  const [journal] = entriesOf(await readStaging(stagingRoot(output)), "journal");
  if (journal === undefined) return 0;
  const lines = (await readFile(journal.path, "utf8")).split("\n");
  return lines.filter((line) => parseRecord(line)?.type === "piece").length;
}

/** What was in the journal was kept, and only the rest was run. */
function expectOnlyTheRest(job: BulkyJob, kept: number): void {
  const { events } = job.watch;
  const second = events.slice(events.findLastIndex(({ event }) => event === "leading"));
  const resumed = second.find(({ event }) => event === "resumed");
  expect({ keptPieces: 0, redonePieces: 0, ...resumed }).toMatchObject({ keptPieces: kept, redonePieces: 0 });
  const writing = second.find(({ event }) => event === "writing");
  expect(writing?.["units"] ?? 0).toBe(bulkyUnits - kept);
}

/** The one that was frozen has understood that it leads no more. */
async function expectAbdication(job: BulkyJob, leader: NodeProcess, from: number): Promise<void> {
  while (!leader.output.slice(from).includes(`Job "${job.id}": this coordinator`)) await sleep(50);
  expect(leader.output.slice(from)).not.toContain(`${job.output} is complete`);
}
