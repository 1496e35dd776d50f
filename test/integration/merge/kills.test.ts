import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type BulkyRecipe, blockBytes, bulkyUnits, writeBulky } from "../../support/bulky.js";
import { withTempDir } from "../../support/checkpoints.js";
import { childrenOf, type JsonEvent, type Outcome, startAgentCommand, startAmalgam } from "../../support/command.js";
import { mergeLocally } from "../../support/merges.js";
import { hashDirectory } from "../../support/plans.js";
import { seeded } from "../../support/random.js";

// Processes are killed in the middle of a merge; the same command again finishes it, does no finished unit twice, and
// makes the bytes that an undisturbed run makes.

const scratch = withTempDir();
let recipes: Record<BulkyRecipe, string>;
const golden: Partial<Record<BulkyRecipe, Record<string, string>>> = {};
beforeAll(async () => {
  const { path } = await scratch;
  recipes = await writeBulky(path);
  for (const name of Object.keys(recipes) as BulkyRecipe[]) {
    const output = join(path, `golden of ${name}`);
    await mergeLocally(recipes[name], output, { slots: 2 });
    golden[name] = await hashDirectory(output);
  }
});
afterAll(async () => (await scratch)[Symbol.asyncDispose]());

/** An output, and the command that makes it: the same every time. */
async function job(recipe: BulkyRecipe, ...options: readonly string[]) {
  const { path } = await scratch;
  const output = join(path, `out-${++jobs}`);
  const unitBytes = recipe === "linear" ? blockBytes : 4 * blockBytes;
  const slots = options.includes("--agent") ? [] : ["--slots", "1"];
  const argv = ["merge", recipes[recipe], output, "--json", "--unit-size", String(unitBytes), ...slots];
  return { recipe, output, start: (leader = false) => startAmalgam([...argv, ...options], { leader }) };
}
let jobs = 0;
type Job = Awaited<ReturnType<typeof job>>;

interface Resumed {
  readonly keptPieces: number;
  readonly keptBytes: number;
  readonly redonePieces: number;
}

/** What a run found when it began; every unit of "linear" makes one piece. */
function resumed(events: readonly JsonEvent[]): Resumed {
  const event = events.find(({ event }) => event === "resumed");
  return (event?.["resumed"] ?? { keptPieces: 0, keptBytes: 0, redonePieces: 0 }) as Resumed;
}

function count(events: readonly JsonEvent[], name: string): number {
  return events.filter(({ event }) => event === name).length;
}

/** Kills a run at an event, and returns what it had found when it began. */
async function killAt({ start, output }: Job, event: string, occurrence: number): Promise<Resumed> {
  await using command = start();
  await command.event(event, occurrence);
  expect((await command.kill()).signal).toBe("SIGKILL");
  expect(existsSync(output)).toBe(false);
  return resumed(command.events);
}

/** Runs the command to its end, which must be the golden output, made without doing a finished unit again. */
async function finish({ start, output, recipe }: Job): Promise<Resumed & { readonly events: readonly JsonEvent[] }> {
  await using command = start();
  const { code, stderr } = await command.ended;
  expect([code, stderr]).toEqual([0, ""]);
  const found = resumed(command.events);
  const done = command.events.find(({ event }) => event === "done");
  if (done?.["alreadyComplete"] !== true) {
    expect(found.redonePieces).toBe(0);
    expect(Number(done?.["bytesWritten"]) + found.keptBytes).toBe(bulkyUnits * blockBytes);
  }
  await expectGolden(recipe, output);
  return { ...found, events: command.events };
}

async function expectGolden(recipe: BulkyRecipe, output: string): Promise<void> {
  expect(await hashDirectory(output)).toEqual(golden[recipe]);
  expect((await readdir((await scratch).path)).filter((name) => name.startsWith(`${output}.`))).toEqual([]);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function untilGone(pids: readonly number[]): Promise<void> {
  while (pids.some(isAlive)) await sleep(20);
}

test.each(["direct", "stream"])("a coordinator killed again and again goes on where it was, %s", async (assembly) => {
  const merge = await job("linear", "--assembly", assembly);
  const first = await killAt(merge, "unit finished", 30);
  const second = await killAt(merge, "unit finished", 30);
  expect(second.keptPieces).toBeGreaterThan(first.keptPieces);
  const last = await finish(merge);
  expect(last.keptPieces).toBeGreaterThan(second.keptPieces);
  expect(count(last.events, "unit finished")).toBe(bulkyUnits - last.keptPieces);
});

test("a coordinator killed before and at its first unit leaves nothing that is in the way", async () => {
  const merge = await job("linear");
  expect((await killAt(merge, "planned", 1)).keptPieces).toBe(0);
  expect((await killAt(merge, "unit started", 1)).keptPieces).toBe(0);
  expect((await killAt(merge, "unit finished", 1)).keptPieces).toBeLessThan(bulkyUnits / 2);
  await finish(merge);
});

test("a coordinator killed while it commits leaves the output whole or not at all", async () => {
  const merge = await job("linear");
  await using command = merge.start();
  await command.event("committing");
  await command.kill();
  if (existsSync(merge.output)) await expectGolden("linear", merge.output);
  else expect((await finish(merge)).keptPieces).toBe(bulkyUnits);
});

test("a coordinator killed at any moment goes on where it was", async () => {
  const random = seeded(2026);
  const merge = await job("linear", "--agents", "2");
  let kept = 0;
  for (let run = 0; run < 3; run += 1) {
    await using command = merge.start();
    await sleep(150 + 900 * random());
    await command.kill();
    const found = resumed(command.events);
    expect(found.redonePieces).toBe(0);
    if (count(command.events, "started") > 0) {
      expect(found.keptPieces).toBeGreaterThanOrEqual(kept);
      kept = found.keptPieces;
    }
  }
  expect((await finish(merge)).keptPieces).toBeGreaterThanOrEqual(kept);
});

test("statistics passes that are over are not gathered again", async () => {
  const merge = await job("ties over the whole model", "--agents", "2");
  const passesOf = (events: readonly JsonEvent[]) =>
    events.filter(({ event }) => event === "gathering").map((event) => event["pass"]);
  const killIn = async (phase: string, occurrence: number): Promise<readonly unknown[]> => {
    await using command = merge.start();
    await command.event(phase, occurrence);
    await command.event("unit finished", count(command.events, "unit finished") + 8);
    await command.kill();
    return passesOf(command.events);
  };
  expect(await killIn("gathering", 1)).toEqual([0]);
  expect(await killIn("gathering", 2)).toEqual([0, 1]);
  expect(await killIn("writing", 1)).toEqual([1]);
  expect(passesOf((await finish(merge)).events)).toEqual([]);
});

async function killAnAgentOf(coordinator: number): Promise<void> {
  const [agent] = await childrenOf(coordinator);
  if (agent === undefined) throw new Error(`Process ${coordinator} has no child`);
  process.kill(agent, "SIGKILL");
}

/** Agent processes are found in /proc, which only Linux has. */
const needsProc = { skip: process.platform !== "linux" };

test.each(["direct", "stream"])("one of two agents dies and the other finishes, %s", needsProc, async (assembly) => {
  const merge = await job("linear", "--assembly", assembly, "--agents", "2", "--agent-processes");
  await using command = merge.start();
  await command.event("unit finished", 20);
  await killAnAgentOf(command.pid);
  expect((await command.ended).code).toBe(0);
  const lost = command.events.filter(({ event }) => event === "unit failed");
  expect(new Set(lost.map((event) => event["agent"])).size).toBeLessThan(2);
  expect(count(command.events, "unit finished")).toBe(bulkyUnits);
  await expectGolden("linear", merge.output);
});

test("agents started by hand outlive a coordinator, and one of them the other", async () => {
  const { path } = await scratch;
  await using first = await startAgentCommand(path, { name: "first" });
  await using second = await startAgentCommand(path, { name: "second" });
  const merge = await job("linear", "--agent", first.address, "--agent", second.address, "--assembly", "stream");
  await killAt(merge, "unit finished", 30);
  await using command = merge.start();
  await command.event("unit finished", 20);
  await first.kill();
  expect((await command.ended).code).toBe(0);
  const { keptPieces } = resumed(command.events);
  expect(keptPieces).toBeGreaterThan(0);
  expect(count(command.events, "unit finished")).toBe(bulkyUnits - keptPieces);
  await expectGolden("linear", merge.output);
});

/** What a run says whose only agent died. */
function expectResumable({ code, stderr }: Outcome): void {
  expect(code).toBe(1);
  expect(stderr).toMatch(/^The agent is lost with \d+ units? to go \(/m);
  expect(stderr.match(/run the same command again/g)).toHaveLength(1);
  expect(stderr).not.toContain("    at ");
}

for (const assembly of ["direct", "stream"]) {
  test.concurrent(`the only agent dies and the same command again finishes, ${assembly}`, needsProc, async () => {
    const merge = await job("linear", "--assembly", assembly, "--agent-processes");
    await using command = merge.start();
    await command.event("unit finished", 40);
    await killAnAgentOf(command.pid);
    expectResumable(await command.ended);
    expect(existsSync(merge.output)).toBe(false);
    const { keptPieces } = await finish(merge);
    expect(keptPieces).toBe(count(command.events, "unit finished"));
  });
}

test.concurrent("an agent started by hand dies, is started again, and the run goes on with it", async () => {
  const { path } = await scratch;
  await using first = await startAgentCommand(path);
  const merge = await job("linear", "--agent", first.address);
  await using command = merge.start();
  await command.event("unit finished", 40);
  await first.kill();
  await using second = await startAgentCommand(path, { port: Number(first.address.split(":")[1]) });
  expect((await command.ended).code).toBe(0);
  await expectGolden("linear", merge.output);
  expect((await second.kill("SIGTERM")).code).toBe(0);
});

test.concurrent("agent processes end when their coordinator is killed", needsProc, async () => {
  const merge = await job("linear", "--agents", "2", "--agent-processes");
  await using command = merge.start();
  await command.event("unit finished", 40);
  const agents = await childrenOf(command.pid);
  expect(agents.length).toBe(2);
  await command.kill();
  await untilGone(agents);
  await finish(merge);
});

test.concurrent("Ctrl-C ends a run in good order with code 130 and keeps what is done", needsProc, async () => {
  const merge = await job("linear", "--agents", "2", "--agent-processes");
  await using command = merge.start(true);
  await command.event("unit finished", 40);
  const agents = await childrenOf(command.pid);
  // As a terminal does it: to the whole group, agents included.
  process.kill(-command.pid, "SIGINT");
  const { code, stderr } = await command.ended;
  expect([code, stderr]).toEqual([
    130,
    "Interrupted\nThe work done so far is kept: run the same command again to go on\n",
  ]);
  expect(agents.filter(isAlive)).toEqual([]);
  expect(existsSync(merge.output)).toBe(false);
  const { keptPieces } = await finish(merge);
  expect(keptPieces).toBe(count(command.events, "unit finished"));
});
