import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "../test/support/cluster/cluster.js";
import type { NodeProcess } from "../test/support/cluster/node-process.js";
import type { RunningCommand } from "../test/support/command.js";
import { addedSince, clusterRecipe, type Position, positionOf, withCluster } from "./cluster.js";
import { type BenchContext, type Benchmark, median } from "./harness.js";
import { seconds, type Table } from "./table.js";

const unitBytes = 256 << 10;
const maxModelBytes = 300e6;
const ioLimit = "8MB";
const lookMs = 10;
/** How long a job is watched for pauses once NATS is hit. */
const pausesMs = 6_000;
const outageMs = 2_000;
/** What is not back after this is not coming back. */
const patienceMs = 60_000;

/** How long a job stands still, or a unit is lost, when something happens to the cluster. */
export const recovery: Benchmark = {
  name: "recovery",
  run(context) {
    const folder = join(context.folder, "recovery");
    const options = { folder, agents: 3, agentOptions: () => ["--io-limit", ioLimit] };
    return withCluster(title, options, async (cluster) => {
      const recipe = clusterRecipe(folder, "linear", Math.min(context.modelBytes, maxModelBytes));
      const jobs = new Jobs(cluster, recipe.file, join(folder, "output"));
      const rows: string[][] = [];
      for (const { name, measures, once } of faults) {
        context.say(name);
        const samples = await sample(context, () => jobs.during((job) => once(cluster, job)));
        rows.push([name, measures, seconds(median(samples)), seconds(Math.max(...samples))]);
      }
      await jobs[Symbol.asyncDispose]();
      return [tableOf(context, rows)];
    });
  },
};

const title = "Recovery";

function tableOf({ runs }: BenchContext, rows: readonly (readonly string[])[]): Table {
  const note =
    `A linear merge in units of 256 KiB on three agents with one slot and ${ioLimit} a second each: a unit takes an agent ` +
    `an eighth of a second, and the cluster accepts one every 43 ms. Two coordinators. Each fault ${runs} times.`;
  return { title, note, columns: ["fault", "time until", "median", "worst"], rows };
}

/** A job that runs, and who follows it. */
interface Job {
  readonly output: string;
  readonly watch: RunningCommand;
}

interface MeasuredFault {
  readonly name: string;
  readonly measures: string;
  /** Does it, says how many seconds it cost, and undoes it. */
  readonly once: (cluster: Cluster, job: Job) => Promise<number>;
}

const elsewhere = "the unit it ran is done elsewhere";
const nextUnit = "the next unit is accepted";
const pause = "longest pause between two units";

const faults: readonly MeasuredFault[] = [
  { name: "an agent is killed", measures: elsewhere, once: (cluster, job) => loseAgent(cluster, job, "kill") },
  { name: "an agent freezes", measures: elsewhere, once: (cluster, job) => loseAgent(cluster, job, "freeze") },
  { name: "the leader is killed", measures: nextUnit, once: (cluster, job) => loseLeader(cluster, job, "SIGKILL") },
  { name: "the leader freezes", measures: nextUnit, once: (cluster, job) => loseLeader(cluster, job, "freeze") },
  {
    name: "the leader is told to end",
    measures: nextUnit,
    once: (cluster, job) => loseLeader(cluster, job, "SIGTERM"),
  },
  { name: "NATS is killed, back after 2 s", measures: pause, once: (cluster, job) => loseNats(cluster, job, "kill") },
  { name: "NATS freezes for 2 s", measures: pause, once: (cluster, job) => loseNats(cluster, job, "freeze") },
  { name: "NATS loses all it stored", measures: pause, once: (cluster, job) => loseNats(cluster, job, "wipe") },
];

async function loseAgent(cluster: Cluster, job: Job, how: "kill" | "freeze"): Promise<number> {
  const agent = cluster.agent(1);
  const unit = await nextUnitOf(agent, job);
  const before = here(job);
  const started = performance.now();
  if (how === "kill") await agent.kill();
  else agent.freeze();
  const took = await until(started, async () => {
    const now = here(job);
    return (await addedSince(before, now)).includes(`"unit":${unit},`);
  });
  await cluster.heal();
  await nextUnitOf(agent, job);
  return took;
}

async function loseLeader(cluster: Cluster, job: Job, how: "SIGKILL" | "SIGTERM" | "freeze"): Promise<number> {
  const name = job.watch.events.findLast(({ event, leader }) => event === "state" && leader !== undefined)?.["leader"];
  const leader = cluster.coordinators.find((one) => one.name === name);
  if (leader === undefined) throw new Error(`Nobody leads the job: ${JSON.stringify(job.watch.events.at(-1))}`);
  const before = here(job);
  const started = performance.now();
  const ended = how === "freeze" ? leader.freeze() : leader.kill(how);
  const took = await until(started, () => {
    const now = here(job);
    return now.generation > before.generation && now.bytes > before.bytes;
  });
  await ended;
  await cluster.heal();
  // Its next fault finds a leader that is told of and one that stands by.
  await sleep(1_000);
  return took;
}

async function loseNats(cluster: Cluster, job: Job, how: "kill" | "freeze" | "wipe"): Promise<number> {
  const watching = longestPause(job, pausesMs);
  // It may fail before it is awaited.
  watching.catch(() => undefined);
  const { nats } = cluster;
  if (how === "wipe") await cluster.wipeEngine();
  else {
    if (how === "kill") await nats.kill();
    else nats.freeze();
    await sleep(outageMs);
  }
  await cluster.heal();
  return await watching;
}

/** The number of the next unit that it begins with, as far as whoever follows the job has heard. */
async function nextUnitOf({ name }: NodeProcess, { watch }: Job): Promise<number> {
  const isIts = (line: string): boolean => line.includes('"unit started"') && line.includes(`"agent":"${name}"`);
  const count = watch.events.filter(({ event, agent }) => event === "unit started" && agent === name).length;
  return Number((JSON.parse(await watch.line(isIts, count + 1)) as { unit: number }).unit);
}

async function longestPause(job: Job, forMs: number): Promise<number> {
  const started = performance.now();
  let [last, longest] = [started, 0];
  for (let before = here(job); performance.now() - started < forMs; await sleep(lookMs)) {
    const [now, position] = [performance.now(), here(job)];
    longest = Math.max(longest, now - last);
    if (position.bytes <= before.bytes) continue;
    before = position;
    last = now;
  }
  return longest / 1000;
}

async function until(started: number, isSo: () => boolean | Promise<boolean>): Promise<number> {
  while (!(await isSo())) {
    if (performance.now() - started > patienceMs) throw new Error(`Nothing happened for ${patienceMs / 1000} s`);
    await sleep(lookMs);
  }
  return (performance.now() - started) / 1000;
}

/** Ended before it was measured: the sample is taken again, with the next job. */
class JobIsOver extends Error {}

function here({ output }: Job): Position {
  const position = positionOf(output);
  if (position === undefined) throw new JobIsOver("The job is over");
  return position;
}

async function sample({ runs }: BenchContext, once: () => Promise<number>): Promise<readonly number[]> {
  const samples: number[] = [];
  while (samples.length < runs) samples.push(await once());
  return samples;
}

/** Job after job, so that there is always one in the middle. */
class Jobs implements AsyncDisposable {
  readonly #cluster: Cluster;
  readonly #recipe: string;
  readonly #output: string;
  #job: Job | undefined;

  constructor(cluster: Cluster, recipe: string, output: string) {
    this.#cluster = cluster;
    this.#recipe = recipe;
    this.#output = output;
  }

  /** Measures in the middle of a job; in the middle of the next one, if this one ends too early. */
  async during(measure: (job: Job) => Promise<number>): Promise<number> {
    for (;;) {
      this.#job ??= await this.#begin();
      try {
        return await measure(this.#job);
      } catch (error) {
        if (!(error instanceof JobIsOver) && !this.#isOver()) throw error;
        await this.#cluster.heal();
        await this.#end();
      }
    }
  }

  #isOver(): boolean {
    return this.#job === undefined || this.#job.watch.events.some(({ event }) => event === "done");
  }

  async #begin(): Promise<Job> {
    const words = ["--watch", "--json", "--unit-size", String(unitBytes)];
    const watch = this.#cluster.start("submit", this.#recipe, this.#output, ...words);
    await watch.event("unit finished", 10);
    return { output: this.#output, watch };
  }

  async #end(): Promise<void> {
    const { watch } = this.#job ?? {};
    this.#job = undefined;
    await watch?.ended;
    rmSync(this.#output, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#job?.watch[Symbol.asyncDispose]();
  }
}
