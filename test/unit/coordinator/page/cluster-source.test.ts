import { expect, test } from "vitest";
import { limits } from "../../../../coordinator/page/board.js";
import { ClusterSource } from "../../../../coordinator/page/cluster-source.js";
import { wordOf } from "../../../../shared/bus/bus.js";
import { type ClusterEvent, type JobRecord, keys, type NodeRecord } from "../../../../shared/cluster/records.js";
import { MemoryEngine } from "../../../simulation/memory-bus.js";
import { VirtualClock } from "../../../simulation/virtual-clock.js";
import { eventOf, jobOf, nodeOf } from "../../../support/cluster-records.js";
import { unitsOf } from "../../../support/made-page.js";

async function begin() {
  const clock = new VirtualClock();
  const engine = new MemoryEngine(clock);
  const bus = engine.client("teller");
  const own = engine.client("page");
  const options = { name: "c1", version: "0.1.0", hasSweeps: false, canAct: true, clock };
  const source = await ClusterSource.watch(own, options);
  const { board } = source;
  return {
    ...{ clock, engine, bus, source, board },
    job: (record: JobRecord) => bus.state.put(keys.job(record.id), JSON.stringify(record)),
    node: (record: NodeRecord) => bus.nodes.put(keys.node(record.name), JSON.stringify(record)),
    tell: (event: ClusterEvent) => bus.events.append(wordOf(event.job ?? event.node), JSON.stringify(event)),
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

test("jobs, their progress and their units are as the bus has them", async () => {
  await using world = await begin();
  const { board, bus, job } = world;
  await job(jobOf("a/ä", { state: "running", leader: "c1", starts: 1 }));
  const progress = {
    units: 9,
    unitsDone: 4,
    work: 10,
    workDone: 5,
    agents: 1,
    slots: 1,
    retries: 0,
    bytesPerSecond: 1,
  };
  await bus.nodes.put(keys.progress("a/ä"), JSON.stringify(progress));
  const units = unitsOf({ units: 9, done: 0.5, agents: ["one"] });
  await bus.nodes.put(keys.units("a/ä"), JSON.stringify(units));
  await world.clock.advance(100);
  expect(board.get("jobs", "a/ä")).toMatchObject({ id: "a/ä", state: "running", progress, output: "/outputs/a/ä" });
  expect(board.get("units", "a/ä")).toEqual(units);
  expect(JSON.stringify(board.get("jobs", "a/ä"))).not.toContain("merge_method");
  expect(await world.source.job("a/ä")).toMatchObject({ recipe: { text: "merge_method: linear\n" }, units });
  expect(await world.source.job("nobody")).toBeUndefined();

  await bus.state.delete(keys.job("a/ä"));
  await world.clock.advance(100);
  expect([...board.keys("jobs"), ...board.keys("units")]).toEqual([]);
});

test("a code of another version has no advice, whatever its name", async () => {
  await using world = await begin();
  for (const code of ["__proto__", "toString", "of_tomorrow"]) {
    await world.job(jobOf(code, { state: "failed", code: code as "usage", reason: "?" }));
  }
  await world.clock.advance(100);
  for (const id of world.board.keys("jobs")) expect(world.board.get("jobs", id)).not.toHaveProperty("advice");
  expect(world.board.count("jobs")).toBe(3);
});

test("a failed job has its reason, and what to do", async () => {
  await using world = await begin();
  const reason = `Cannot write: ${"x".repeat(2_000)}`;
  await world.job(jobOf("a", { state: "failed", code: "out_of_space", reason, endedAt: "2026-01-01T00:00:00Z" }));
  await world.clock.advance(100);
  expect(world.board.get("jobs", "a")).toMatchObject({
    advice: expect.stringMatching(/^Make room where the output is written/),
  });
  expect(world.board.get("jobs", "a")?.reason).toHaveLength(600);
  expect((await world.source.job("a"))?.reason).toBe(reason);
});

test("a node that falls silent is said to be, and one that leaves is gone", async () => {
  await using world = await begin();
  const { board, clock } = world;
  for (let beat = 1; beat <= 3; beat += 1) {
    for (const name of ["stays", "dies", "leaves"])
      await world.node(nodeOf(name, { beat, beatMs: 1_000, running: beat }));
    if (beat === 1) expect(board.get("nodes", "dies")?.state ?? "unknown").toBe("unknown");
    await clock.advance(1_000);
  }
  expect(board.get("nodes", "dies")).toMatchObject({ state: "ready", running: 3, devices: [] });
  await world.bus.nodes.delete(keys.node("leaves"));
  for (let beat = 4; beat <= 12; beat += 1) {
    await world.node(nodeOf("stays", { beat, beatMs: 1_000, devices: ["cuda"] }));
    await clock.advance(1_000);
  }
  expect(board.get("nodes", "dies")?.state).toBe("silent");
  expect(board.get("nodes", "stays")).toMatchObject({ state: "ready", devices: ["cuda"] });
  expect(board.keys("nodes")).not.toContain("leaves");
});

test("a job whose leader is silent is said to be neglected", async () => {
  await using world = await begin();
  const { clock } = world;
  await world.job(jobOf("a", { state: "running", leader: "c2", starts: 1 }));
  for (let beat = 1; beat <= 4; beat += 1) {
    await world.node(nodeOf("c1", { role: "coordinator", beat, beatMs: 1_000 }));
    await clock.advance(1_000);
  }
  expect(world.board.get("jobs", "a")?.neglect).toBe("Coordinator c2 is silent: another one takes over");
});

test("events are shown but for those of every unit, and the oldest go", async () => {
  await using world = await begin();
  world.tell(eventOf({ level: "debug", type: "unit started" }));
  world.tell(
    eventOf({ level: "warning", job: "a", message: "trouble", fields: { unit: 7, code: "io_failed", attempt: 1 } }),
  );
  await world.clock.advance(100);
  const events = world.board.keys("events").map((key) => world.board.get("events", key));
  expect(events).toMatchObject([{ level: "warning", unit: 7, code: "io_failed", number: 1 }]);
  for (let i = 0; i < limits.events + 20; i += 1) world.tell(eventOf({ message: String(i) }));
  await world.clock.advance(100);
  expect(world.board.keys("events")).toHaveLength(limits.events);
});

test("while the engine is away the page says so, and declares nobody dead", async () => {
  await using world = await begin();
  const { board, clock, engine } = world;
  for (let beat = 1; beat <= 3; beat += 1) {
    await world.node(nodeOf("agent", { beat, beatMs: 1_000 }));
    await clock.advance(1_000);
  }
  engine.stop();
  await clock.advance(60_000);
  expect(board.get("server", "this")).toMatchObject({ isConnected: false });
  expect(board.get("nodes", "agent")?.state).not.toBe("silent");
  engine.start();
  await clock.advance(1_000);
  expect(board.get("server", "this")).toMatchObject({ isConnected: true });
});

test("of more jobs than are shown, those that are not over stay and the oldest of the others go", async () => {
  await using world = await begin();
  const at = (i: number): string => new Date(1e12 + i * 1_000).toISOString();
  await world.job(jobOf("open", { submittedAt: at(0) }));
  for (let i = 1; i <= limits.jobs + 50; i += 1) {
    await world.job(jobOf(`job-${i}`, { state: "done", submittedAt: at(i), endedAt: at(i) }));
  }
  await world.clock.advance(2_000);
  const shown = world.board.keys("jobs");
  expect(shown).toHaveLength(limits.jobs);
  expect(shown).toContain("open");
  expect(shown).toContain(`job-${limits.jobs + 50}`);
  expect(shown).not.toContain("job-1");
  expect(world.board.get("server", "this")?.jobsLeftOut).toBe(51);
});

test("what is no record of ours is not shown", async () => {
  await using world = await begin();
  await world.bus.state.put("jobs.odd", "{");
  await world.bus.nodes.put("nodes.odd", JSON.stringify({ name: "x".repeat(10_000) }));
  await world.bus.nodes.put("units.odd", JSON.stringify({ cells: "A".repeat(1e6) }));
  world.bus.events.append("odd", "[]");
  await world.clock.advance(100);
  expect(Object.keys(JSON.parse(world.board.whole()))).toEqual(["server"]);
});

test("a record speaks for its own key only", async () => {
  await using world = await begin();
  const { bus, board, clock } = world;
  await world.node(nodeOf("c1", { role: "coordinator" }));
  await bus.nodes.put(keys.node("liar"), JSON.stringify(nodeOf("c1", { role: "agent", beat: 7 })));
  await bus.nodes.delete(keys.node("liar"));
  await bus.state.put(keys.job("b"), JSON.stringify(jobOf("a")));
  await clock.advance(1_000);
  expect(board.get("nodes", "c1")?.role).toBe("coordinator");
  expect(board.keys("nodes")).toEqual(["c1"]);
  expect(board.keys("jobs")).toEqual([]);
});

test("of more nodes than are shown, those that are alive are", async () => {
  await using world = await begin();
  const { board, clock } = world;
  for (let i = 0; i < limits.nodes + 50; i += 1) await world.node(nodeOf(`gone-${i}`));
  for (let beat = 1; beat <= 8; beat += 1) {
    await world.node(nodeOf("alive", { beat, beatMs: 1_000 }));
    await clock.advance(1_000);
  }
  expect(board.get("nodes", "alive")?.state).toBe("ready");
  expect(board.count("nodes")).toBe(limits.nodes);
  expect(board.get("server", "this")?.nodesLeftOut).toBe(51);
});

test("a job that is removed makes room for one that was not shown", async () => {
  await using world = await begin();
  for (let i = 0; i <= limits.jobs; i += 1) {
    const at = new Date(1e12 + i * 1_000).toISOString();
    await world.job(jobOf(`job-${i}`, { state: "done", submittedAt: at, endedAt: at }));
  }
  await world.clock.advance(2_000);
  expect(world.board.get("jobs", "job-0")).toBeUndefined();
  await world.bus.state.delete(keys.job("job-9"));
  await world.clock.advance(2_000);
  expect(world.board.get("jobs", "job-0")).toBeDefined();
  expect(world.board.get("server", "this")?.jobsLeftOut).toBe(0);
});

test("units of jobs that run do not push one another out", async () => {
  await using world = await begin();
  const { board, bus, clock } = world;
  const units = JSON.stringify(unitsOf({ units: 9, done: 0.5, agents: ["one"] }));
  const ended = { state: "done", endedAt: new Date(1e12).toISOString() } as const;
  for (let i = 0; i < limits.units + 10; i += 1) {
    await world.job(jobOf(`job-${i}`, i === 5 ? ended : { state: "running", leader: "c1" }));
    await bus.nodes.put(keys.units(`job-${i}`), units);
    await clock.advance(10);
  }
  expect(board.count("units")).toBe(limits.units);
  expect(board.get("units", "job-0")).toBeDefined();
  expect(board.get("units", "job-5")).toBeUndefined();
  expect(board.get("units", `job-${limits.units}`)).toBeDefined();
  expect(board.get("units", `job-${limits.units + 1}`)).toBeUndefined();
});

test("cancel and drain ask for what the commands ask for", async () => {
  await using world = await begin();
  const { actions } = world.source;
  await world.job(jobOf("a", { state: "running", leader: "c1", starts: 1 }));
  for (const beat of [1, 2]) await world.node(nodeOf("agent", { beat }));
  await world.node(nodeOf("silent"));
  await world.node(nodeOf("c1", { role: "coordinator" }));
  await world.clock.advance(100);
  expect(await actions.cancel("a")).toContain("is to be canceled");
  expect(JSON.parse((await world.bus.state.get(keys.job("a")))?.value ?? "")).toMatchObject({ cancel: true });
  await actions.drain("agent");
  const order = JSON.parse((await world.bus.state.get(keys.order("agent")))?.value ?? "");
  expect(order).toEqual({ instance: "agent-1", order: "drain", by: "the status page" });
  for (const refused of [actions.cancel("b"), actions.drain("b"), actions.drain("c1"), actions.drain("silent")]) {
    await expect(refused).rejects.toMatchObject({ code: "usage" });
  }
});
