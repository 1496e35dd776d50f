import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { blockBytes, bulkyUnits } from "../../support/bulky.js";
import { BulkyCluster, type BulkyJob, readKeptJournal } from "../../support/cluster/bulky-cluster.js";
import { faultFile, type WorkerFault } from "../../support/cluster/fault-file.js";
import { natsPath, whyNoNats } from "../../support/nats-server.js";

// Agents that are alive and no good: one whose workers hang or run out of memory when told so, one ten times slower than
// the others, and one with too little memory. The jobs end as if they were not there.

const reason = whyNoNats();
let setting: BulkyCluster;

const [faulty, slow, small] = [2, 3, 4];
const entry = fileURLToPath(new URL("../../support/cluster/faulty-agent.js", import.meta.url));

beforeAll(async () => {
  if (reason !== undefined) return;
  setting = await BulkyCluster.start({
    nats: natsPath(),
    agents: 4,
    ioLimit: "12MB",
    agentEntry: (agent) => (agent === faulty ? entry : undefined),
    agentOptions: (agent) => {
      if (agent === faulty) return ["--slots", "2"];
      if (agent === slow) return ["--io-limit", "1MiB"];
      return agent === small ? ["--memory", "16MiB", "--slots", "20"] : [];
    },
  });
});
afterEach(() => setting?.cluster.heal());
afterAll(() => setting?.[Symbol.asyncDispose]());

async function arm(fault: WorkerFault): Promise<void> {
  await writeFile(join(setting.folder, faultFile), fault);
}

function nameOf(agent: number): string {
  return setting.cluster.agent(agent).name;
}

/** The agents of an event's units. */
function agentsOf(job: BulkyJob, name: string): readonly unknown[] {
  return job.watch.events.filter(({ event }) => event === name).map(({ agent }) => agent);
}

/** How many pieces each agent has made. */
async function piecesOf(job: BulkyJob): Promise<Readonly<Record<string, number>>> {
  const records = await readKeptJournal(join(setting.folder, "journals"), job.output);
  const counts: Record<string, number> = {};
  for (const record of records) {
    if (record.type === "piece") counts[record.agent] = (counts[record.agent] ?? 0) + 1;
  }
  return counts;
}

describe.skipIf(reason !== undefined)(`agents are no good${reason === undefined ? "" : ` (${reason})`}`, () => {
  test("P4: a worker hangs while its agent answers: its unit is taken over", async () => {
    await arm("hang");
    await using job = await setting.begin();
    await job.expectDone();
    expect(agentsOf(job, "unit superseded")).toContain(nameOf(faulty));
    expect(agentsOf(job, "agent lost")).toEqual([]);
    await job.expectNoEchoes();
  });

  test("P5: an agent is ten times slower than the others: its last unit is taken over", async () => {
    await using job = await setting.begin({ unitBytes: 32 * blockBytes });
    await job.expectDone();
    expect(agentsOf(job, "unit superseded")).toEqual([nameOf(slow)]);
    expect(await piecesOf(job)).not.toHaveProperty(nameOf(slow));
    await job.expectNoEchoes();
  });

  test("P9: a worker runs out of memory: its unit is run again, and the agent and its other worker live on", async () => {
    await arm("exhaust memory");
    await using job = await setting.begin();
    await job.expectDone();
    const failed = job.watch.events.filter(({ event }) => event === "unit failed");
    expect(failed).toEqual([expect.objectContaining({ agent: nameOf(faulty), code: "out_of_memory" })]);
    expect(agentsOf(job, "agent lost")).toEqual([]);
    expect((await piecesOf(job))[nameOf(faulty)]).toBeGreaterThan(1);
  });

  test("P9: an agent has too little memory: it is given nothing", async () => {
    await using job = await setting.begin();
    await job.expectDone();
    const pieces = await piecesOf(job);
    expect(pieces).not.toHaveProperty(nameOf(small));
    expect(Object.values(pieces).reduce((sum, count) => sum + count)).toBe(bulkyUnits);
  });

  test("P9: there are only agents with too little memory: the job waits, and says why", async () => {
    const { cluster } = setting;
    const able = cluster.agents.filter((_, index) => index !== small - 1);
    await Promise.all(able.map((agent) => agent.kill("SIGTERM")));
    await using job = await setting.begin();
    const waiting = await job.watch.event("waiting");
    expect(waiting["message"]).toContain("give it more with --memory or fewer with --slots");
    await Promise.all([job.expectDone(), cluster.heal()]);
  });

  test.skip("P9: an accelerator runs out of memory (there is no backend for one)", () => undefined);
});
