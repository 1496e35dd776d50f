import { existsSync } from "node:fs";
import { readdir, utimes } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { withTempDir } from "../../support/checkpoints.js";
import {
  childrenOf,
  type JsonEvent,
  type RunningCommand,
  startAgentCommand,
  startAmalgam,
} from "../../support/command.js";
import { evaluateLocally, recordsIn, writeModel, writeSlowTask, writeTasks } from "./models.js";

// Processes are killed in the middle of an evaluation; it goes on, now or with the same command again, runs nothing twice
// that it has an answer to, and writes the records that an undisturbed run writes.

const batches = 24;

let folder: Awaited<ReturnType<typeof withTempDir>>;
let model: string;
let tasks: string;
let golden: string;

beforeAll(async () => {
  folder = await withTempDir();
  await writeTasks(folder.path);
  tasks = await writeSlowTask(folder.path, batches);
  model = await writeModel(folder.path, "m0", "decoder");
  const output = join(folder.path, "golden");
  await evaluateLocally(tasks, [model], { output });
  golden = await recordsIn(output);
});
afterAll(() => folder[Symbol.asyncDispose]());

let jobs = 0;

/** An output, and the command that makes it. */
function newJob(checkpoint = model) {
  const output = join(folder.path, `out-${++jobs}`);
  return {
    output,
    start: (...options: readonly string[]) =>
      startAmalgam(["eval", checkpoint, tasks, "--out", output, "--json", ...options], { leader: true }),
  };
}
type Job = ReturnType<typeof newJob>;

function count(events: readonly JsonEvent[], name: string): number {
  return events.filter(({ event }) => event === name).length;
}

/** Batches that a run found done when it began. */
function doneBefore(events: readonly JsonEvent[]): number {
  return Number(events.find(({ event }) => event === "started")?.["done"]);
}

/** Waits for the command's end, which must have run what was left, each once, and made the golden records. */
async function expectGolden({ output }: Job, command: RunningCommand): Promise<void> {
  const { code, stderr } = await command.ended;
  expect([code, stderr]).toEqual([0, ""]);
  expect(count(command.events, "batch")).toBe(batches - doneBefore(command.events));
  expect(await recordsIn(output)).toBe(golden);
  expect((await readdir(output)).sort()).toEqual(["records.jsonl", "report.html", "results.json"]);
}

/** Runs the same command again; it must find what the one before has left. */
async function finish(job: Job, before: RunningCommand, ...options: readonly string[]): Promise<void> {
  expect(existsSync(join(job.output, "results.json"))).toBe(false);
  await using command = job.start(...options);
  await command.event("started");
  const done = doneBefore(command.events);
  expect(done).toBeGreaterThan(doneBefore(before.events));
  // An event is told before its line is on the disk, which on a busy machine may be a few lines behind.
  expect(done).toBeGreaterThanOrEqual(doneBefore(before.events) + count(before.events, "batch") - 4);
  await expectGolden(job, command);
}

test("a coordinator killed twice goes on where it was, and leaves no process", async () => {
  const job = newJob();
  await using first = job.start();
  await first.event("batch", 1);
  const children = await childrenOf(first.pid);
  expect(children.length).toBeGreaterThan(0);
  await first.event("batch", 3);
  await first.kill();
  await using second = job.start("--agents", "2");
  await second.event("batch", 3);
  await second.kill();
  await expect.poll(() => children.filter(isAlive), { timeout: 10_000 }).toEqual([]);
  expect(doneBefore(second.events)).toBeGreaterThan(0);
  await finish(job, second);
});

test("Ctrl-C ends with code 130, leaves no process, and keeps the answers", async () => {
  const job = newJob();
  await using command = job.start();
  await command.event("batch", 1);
  const children = await childrenOf(command.pid);
  expect(children.length).toBeGreaterThan(0);
  await command.event("batch", 3);
  // As a terminal does it: to the whole group.
  process.kill(-command.pid, "SIGINT");
  const { code, stderr } = await command.ended;
  expect([code, stderr]).toEqual([
    130,
    "Interrupted\nThe answers so far are kept: run the same command again to go on\n",
  ]);
  await expect.poll(() => children.filter(isAlive), { timeout: 10_000 }).toEqual([]);
  await finish(job, command);
});

test.concurrent("one of two agents dies and the other finishes", async () => {
  await using first = await startAgentCommand(folder.path, { name: "first" });
  await using second = await startAgentCommand(folder.path, { name: "second" });
  const job = newJob();
  await using command = job.start("--agent", first.address, "--agent", second.address);
  await command.event("batch", 3);
  await first.kill();
  await expectGolden(job, command);
  const failed = command.events.filter(({ event }) => event === "slice failed");
  expect(failed.every(({ agent }) => agent === "first")).toBe(true);
});

test.concurrent("when all agents die it says so, and the same command with others goes on", async () => {
  const job = newJob();
  await using first = await startAgentCommand(folder.path, { name: "first" });
  await using command = job.start("--agent", first.address);
  await command.event("batch", 3);
  await first.kill();
  const { code, stderr } = await command.ended;
  expect(code).toBe(1);
  expect(stderr).toContain("The agent is lost with ");
  expect(stderr.match(/run the same command again/g)).toHaveLength(1);
  expect(stderr).not.toContain("    at ");
  expect(command.events.at(-1)).toMatchObject({ event: "failed", code: "agent_lost" });
  await using second = await startAgentCommand(folder.path, { name: "second" });
  await finish(job, command, "--agent", second.address);
});

test.concurrent("a model's process that is killed costs its batch, and the agent lives on", async () => {
  await using agent = await startAgentCommand(folder.path, { name: "only" });
  const job = newJob();
  await using command = job.start("--agent", agent.address);
  await command.event("batch", 1);
  const [child = 0] = await childrenOf(agent.pid);
  await command.event("batch", 3);
  process.kill(child, "SIGKILL");
  await expectGolden(job, command);
  const failed = command.events.filter(({ event }) => event === "slice failed");
  expect(failed.map(({ reason }) => reason)).toEqual([expect.stringContaining("SIGKILL")]);
  expect(await childrenOf(agent.pid)).not.toContain(child);
});

test.concurrent("a checkpoint that changes while it is evaluated is named, and its old answers count no more", async () => {
  const checkpoint = await writeModel(folder.path, "changing", "decoder");
  const file = join(checkpoint, "model-00001-of-00002.safetensors");
  const job = newJob(checkpoint);
  await using command = job.start();
  await command.event("batch", 2);
  await utimes(file, 1, 1);
  const { code, stderr } = await command.ended;
  expect(code).toBe(1);
  expect(stderr).toContain(`Cannot evaluate "${file}": it changed after planning (at another time); plan again`);
  await using again = job.start("--limit", "2");
  await again.event("started");
  expect(doneBefore(again.events)).toBe(0);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
