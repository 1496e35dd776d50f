import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { blockBytes } from "../../support/bulky.js";
import { BulkyCluster, type BulkyJob } from "../../support/cluster/bulky-cluster.js";
import { noHosts } from "../../support/cluster/cluster.js";
import { noPacketLoss } from "../../support/cluster/nft.js";
import { triesAllFaults } from "../../support/faults.js";
import { natsPath, whyNoNats } from "../../support/nats-server.js";

// Links between hosts are cut in the middle of jobs: packets are lost and nobody is told. Every job ends as if nothing had
// happened. Agents 1 and 2 see everything, 3 does not see the output and streams, 4 sees nothing and reads from the others.

const reason = whyNoNats() ?? noHosts();
let setting: BulkyCluster;

beforeAll(async () => {
  if (reason !== undefined) return;
  setting = await BulkyCluster.start({
    nats: natsPath(),
    agents: 4,
    ioLimit: "6MB",
    sightOf: (agent) =>
      ([["models", "outputs"], ["models", "outputs"], ["models"], ["empty"]] as const)[agent - 1] ?? [],
  });
});
afterEach(() => setting?.cluster.heal());
afterAll(() => setting?.[Symbol.asyncDispose]());

type Link = readonly [string, string];
const agents = [1, 2, 3, 4].map((number) => `agent-${number}`);
const coordinators = ["coordinator-1", "coordinator-2"];

interface Cut {
  readonly name: string;
  /** By the job's leader. */
  readonly links: (leader: string) => readonly Link[];
  /** The job cannot end before the links are whole again. @default false */
  readonly mends?: boolean;
  /** Others come near to it. @default false */
  readonly isRare?: boolean;
}

const cuts: readonly Cut[] = [
  { name: "the leader and an agent", links: (leader) => [[leader, "agent-1"]] },
  { name: "an agent and NATS", links: () => [["agent-1", "nats"]], isRare: true },
  { name: "the leader and NATS", links: (leader) => [[leader, "nats"]] },
  { name: "every coordinator and NATS", links: () => coordinators.map((name) => [name, "nats"]), mends: true },
  { name: "an agent and all others", links: () => ["agent-2", "agent-3", "agent-4"].map((name) => ["agent-1", name]) },
  {
    name: "the leader and NATS, and an agent and the other coordinator",
    links: (leader) => [
      [leader, "nats"],
      ...coordinators.filter((name) => name !== leader).map((name): Link => [name, "agent-2"]),
    ],
    isRare: true,
  },
  {
    name: "the leader and an agent, and that agent and NATS",
    links: (leader) => [
      [leader, "agent-3"],
      ["agent-3", "nats"],
    ],
    isRare: true,
  },
  { name: "the leader and every agent", links: (leader) => agents.map((name) => [leader, name]), mends: true },
  {
    name: "whoever submitted it and all others",
    links: () => ["nats", ...coordinators, ...agents].map((name) => ["client", name]),
    mends: true,
  },
];

describe.skipIf(reason !== undefined)(`links are cut${reason === undefined ? "" : ` (${reason})`}`, () => {
  test.each(cuts.filter(({ isRare = false }) => triesAllFaults || !isRare))(
    "N1: cut between $name",
    async ({ links, mends = false }) => {
      const { network } = setting.cluster;
      await using job = await setting.begin();
      await job.unitsDone(20);
      for (const [a, b] of links(job.leader.name)) network.cut(a, b);
      // Longer than it takes to miss pings.
      if (mends) await sleep(7_000);
      if (mends) network.mendAll();
      await job.expectDone();
      await expectNoEchoes(job);
    },
  );
});

test("N12: packets are lost and come twice, most of all at one agent: nobody is given up, and nothing happens twice", async ({
  skip,
}) => {
  const why = reason ?? noPacketLoss();
  if (why !== undefined) skip(why);
  const { network } = setting.cluster;
  const everybody = ["nats", "client", ...coordinators, ...agents];
  for (const name of everybody) network.disturb(name, { lost: 10, doubled: 10 });
  // It streams all that it makes.
  network.disturb("agent-3", { lost: 50, doubled: 50 });
  await using job = await setting.begin({ unitBytes: 4 * blockBytes });
  await job.expectDone();
  const { lost, doubled } = network.disturbed("agent-3");
  expect(Math.min(lost, doubled)).toBeGreaterThan(3);
  // It did its part: one that is slow for a moment is one of the cluster still.
  const finished = job.watch.events.filter(({ event, agent }) => event === "unit started" && agent === "agent-3");
  expect(finished.length).toBeGreaterThan(2);
  const listed = async (): Promise<string> => (await setting.cluster.run("nodes")).stdout;
  for (const name of [...coordinators, ...agents]) {
    await expect.poll(listed, { timeout: 10_000 }).toMatch(new RegExp(`^${name} +(agent|coordinator) +ready`, "m"));
  }
});

/** Whoever was cut off comes back and changes nothing any more. */
async function expectNoEchoes(job: BulkyJob): Promise<void> {
  const published = await job.published();
  await setting.cluster.heal();
  await sleep(1_000);
  expect(await job.published()).toBe(published);
  expect(existsSync(`${job.output}.amalgam-partial`)).toBe(false);
}
