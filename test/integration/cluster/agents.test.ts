import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { blockBytes } from "../../support/bulky.js";
import { BulkyCluster, type BulkyJob } from "../../support/cluster/bulky-cluster.js";
import type { NodeProcess } from "../../support/cluster/node-process.js";
import type { JsonEvent } from "../../support/command.js";
import { triesAllFaults } from "../../support/faults.js";
import { natsPath, whyNoNats } from "../../support/nats-server.js";

// Agents are killed, frozen and told to end in the middle of jobs, which end as if nothing had happened. Agents 1 and 2
// write the output themselves, 3 does not see it and streams. Whatever is done is done to 1 and 3.

const reason = whyNoNats();
let setting: BulkyCluster;

beforeAll(async () => {
  if (reason !== undefined) return;
  const sightOf = (agent: number) => (agent === 3 ? (["models"] as const) : (["models", "outputs"] as const));
  setting = await BulkyCluster.start({ nats: natsPath(), agents: 3, sightOf, ioLimit: "12MB" });
});
afterEach(() => setting?.cluster.heal());
afterAll(() => setting?.[Symbol.asyncDispose]());

/** Large enough that whoever hears that one has begun is in time for the middle of it. */
const long = { unitBytes: 16 * blockBytes };

const victims = (): readonly NodeProcess[] => [setting.cluster.agent(1), setting.cluster.agent(3)];

async function killed(agents: readonly NodeProcess[]): Promise<void> {
  await Promise.all(agents.map((agent) => agent.kill()));
}

async function inUnits(job: BulkyJob): Promise<void> {
  await Promise.all(victims().map((agent) => job.unitsOn(agent)));
}

/** When each was given a second one, since the call for the first may still be on its way, or when there may be none for it. */
async function wellInUnits(job: BulkyJob): Promise<void> {
  await Promise.race([Promise.all(victims().map((agent) => job.unitsOn(agent, 2))), job.unitsDone(5)]);
}

function isSecondTry({ event, attempt }: JsonEvent): boolean {
  return event === "unit started" && Number(attempt) > 1;
}

/** Units that had been given to somebody were given to somebody else. */
function expectMoved(job: BulkyJob): void {
  expect(job.watch.events.filter(isSecondTry)).not.toEqual([]);
}

/** Of a process that was told to end, by whatever `act` does, and did so in peace. */
async function expectEnd(agent: NodeProcess, act: () => Promise<void>): Promise<void> {
  const { ended } = agent;
  await act();
  expect(await ended).toBe(0);
}

/** Units that came too late to be taken have not failed. */
function expectNoneFailed(job: BulkyJob): void {
  const failed = job.watch.events.filter(({ event }) => event === "unit failed");
  expect(failed.filter(({ code }) => code !== "agent_draining")).toEqual([]);
}

describe.skipIf(reason !== undefined)(`agents fail${reason === undefined ? "" : ` (${reason})`}`, () => {
  test.runIf(triesAllFaults)("P1: killed before the first byte", async () => {
    await using job = await setting.begin();
    await job.watch.event("planned");
    await killed(victims());
    await Promise.all([job.expectDone(), setting.cluster.heal()]);
  });

  test("P1: killed in the middle of units", async () => {
    await using job = await setting.begin(long);
    await inUnits(job);
    await killed(victims());
    await Promise.all([job.expectDone(), setting.cluster.heal()]);
    expectMoved(job);
  });

  test("P1: killed when all is written and the output is published", async () => {
    await using job = await setting.begin();
    await job.watch.event("committing");
    await killed(victims());
    await Promise.all([job.expectDone(), setting.cluster.heal()]);
  });

  test("P2: frozen in the middle of units, to the end and beyond", async () => {
    await using job = await setting.begin(long);
    await inUnits(job);
    for (const agent of victims()) agent.freeze();
    await job.expectDone();
    expectMoved(job);
    await job.expectNoEchoes();
  });

  test("P3: frozen in the middle of units, and back while others run them", async () => {
    await using job = await setting.begin(long);
    await inUnits(job);
    for (const agent of victims()) agent.freeze();
    await job.watch.line((line) => isSecondTry(JSON.parse(line)));
    for (const agent of victims()) agent.thaw();
    await job.expectDone();
    await job.expectNoEchoes();
  });

  test("P3: frozen in the middle of units, and back under another leader", async () => {
    await using job = await setting.begin(long);
    await inUnits(job);
    for (const agent of victims()) agent.freeze();
    await job.leader.kill();
    await job.watch.event("leading", 2);
    await Promise.all([job.expectDone(), setting.cluster.heal()]);
    await job.expectNoEchoes();
  });

  test("P10: told to end by SIGTERM in the middle of units, which they finish", async () => {
    await using job = await setting.begin(long);
    await wellInUnits(job);
    await Promise.all(victims().map((agent) => expectEnd(agent, () => agent.kill("SIGTERM"))));
    await job.expectDone();
    expectNoneFailed(job);
  });

  test("P10: told to end by amalgam drain in the middle of units, which they finish", async () => {
    await using job = await setting.begin(long);
    await wellInUnits(job);
    const drain = async (agent: NodeProcess): Promise<void> => {
      expect(await setting.cluster.run("drain", agent.name)).toMatchObject({
        code: 0,
        stdout: `${agent.name} has left\n`,
      });
    };
    await Promise.all(victims().map((agent) => expectEnd(agent, () => drain(agent))));
    await job.expectDone();
    expectNoneFailed(job);
  });

  test("P11: all are gone: the job waits for one", async () => {
    await using job = await setting.begin();
    await job.unitsDone(20);
    await killed(setting.cluster.agents);
    await job.watch.line((line) => /"state":"waiting"/.test(line));
    await Promise.all([job.expectDone(), setting.cluster.heal()]);
    expect(job.count("waiting")).toBeGreaterThan(0);
    expect(job.count("agents came")).toBeGreaterThan(0);
  });

  test("P11: all are gone for longer than --max-wait: the job fails, and goes on when it is submitted again", async () => {
    await using failing = await setting.begin({ argv: ["--max-wait", "1s"] });
    await failing.unitsDone(20);
    await Promise.all(setting.cluster.agents.map((agent) => agent.kill("SIGTERM")));
    const { code, stderr } = await failing.watch.ended;
    expect([code, stderr]).toEqual([1, expect.stringMatching(/no agent/)]);
    await setting.cluster.heal();
    await using job = await setting.begin({ output: failing.output });
    await job.expectDone();
    const resumed = job.watch.events.find(({ event }) => event === "resumed");
    expect(Number(resumed?.["keptPieces"])).toBeGreaterThanOrEqual(20);
  });

  // Chaos kills more, and others.
  test.runIf(triesAllFaults)("P12: one is killed every second, ten times", { timeout: 120_000 }, async () => {
    const { cluster } = setting;
    await using job = await setting.begin({ recipe: "ties over the whole model" });
    await job.led();
    let isOver = false;
    void job.watch.ended.then(() => {
      isOver = true;
    });
    const fleet = [...cluster.agents];
    let kills = 0;
    try {
      for (; !isOver && kills < 10; kills += 1) {
        await fleet.shift()?.kill();
        // As clouds do it: a machine that is taken away is replaced by another one.
        const next = await cluster.anotherAgent((kills % 3) + 1, `spare-${kills + 1}`);
        fleet.push(next);
        await Promise.all([next.start(), sleep(1_000)]);
      }
      await job.expectDone();
    } finally {
      await killed(fleet);
    }
    expect(kills).toBeGreaterThan(2);
  });
});
