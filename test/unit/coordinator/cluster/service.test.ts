import { expect, test } from "vitest";
import { maxLostStarts } from "../../../../coordinator/cluster/outcome.js";
import { keys, type NodeRecord } from "../../../../shared/cluster/records.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { jobRecordOf } from "./records.js";
import { World } from "./world.js";

test("a job is taken, led, and ended; then the queue forgets it and the lease is free", async () => {
  const world = new World();
  world.start("one");
  await world.submit();
  await world.untilState("running");
  expect(world.record()).toMatchObject({ leader: "one", starts: 1 });
  expect(world.lease()).toMatchObject({ holder: "one", epoch: 1 });
  await world.untilState("done");
  await world.clock.advance(100);
  expect(world.record()).toMatchObject({ state: "done", digest: "abc", endedAt: "1970-01-01T00:00:10.001Z" });
  expect(world.lease()?.instance).toBe("");
  expect(world.engine.jobs.size).toBe(0);
  expect(world.trace).toEqual(["one began", "one published"]);
});

test("of two coordinators, one leads a job and the other never does", async () => {
  const world = new World();
  world.work = { steps: 60, stepMs: 1_000 };
  world.start("one");
  world.start("two");
  await world.submit();
  await world.untilState("done");
  expect(world.trace).toHaveLength(2);
  expect(world.engine.jobs.size).toBe(0);
});

test("a coordinator leads as many jobs as it may, and the others wait or go elsewhere", async () => {
  const world = new World();
  const one = world.start("one", { maxJobs: 2 });
  const two = world.start("two", { maxJobs: 1 });
  for (const id of ["a", "b", "c", "d", "e"]) await world.submit(id);
  await world.clock.advance(5_000);
  expect(one.service.leading).toHaveLength(2);
  expect(two.service.leading).toHaveLength(1);
  for (const id of ["a", "b", "c", "d", "e"]) await world.untilState("done", id);
  expect(world.trace.filter((line) => line.endsWith("published"))).toHaveLength(5);
  await world.clock.advance(30_000);
  expect(world.engine.jobs.size).toBe(0);
});

test("a job whose leader is killed goes on with another within seconds", async () => {
  const world = new World();
  const one = world.start("one");
  await world.submit();
  await world.until("one began");
  await world.clock.advance(3_000);
  world.start("two");
  await world.clock.advance(3_000);
  one.kill();
  await world.until("two began", 8_000);
  expect(world.lease()?.epoch).toBe(2);
  await world.untilState("done");
  expect(world.record()).toMatchObject({ leader: "two", starts: 2 });
});

test("a leader that wakes up late stops before it publishes, and writes nothing", async () => {
  const world = new World();
  const one = world.start("one");
  world.start("two");
  await world.submit();
  await world.clock.advance(5_000);
  const [leader = ""] = world.trace[0]?.split(" ") ?? [];
  const frozen = leader === "one" ? one : undefined;
  expect(frozen).toBeDefined();
  one.clock.freeze();
  await world.until("two published");
  await world.untilState("done");
  const after = world.record();
  await one.clock.thaw();
  await world.clock.advance(60_000);
  expect(world.trace).toEqual(["one began", "two began", "two published", "one stopped"]);
  expect(world.record()).toEqual(after);
});

test("a leader that is frozen just before it publishes finds out that it must not", async () => {
  const world = new World();
  const one = world.start("one");
  world.work = { steps: 0, stepMs: 0, beforePublishing: (name) => name === "one" && one.clock.freeze() };
  await world.submit();
  await world.clock.advance(1_000);
  expect(one.clock.isFrozen).toBe(true);
  world.start("two");
  await world.until("two published");
  await one.clock.thaw();
  await world.clock.advance(20_000);
  expect(world.trace).toEqual(["one began", "two began", "two published"]);
});

test("a leader that is frozen for a moment only keeps its job", async () => {
  const world = new World();
  const one = world.start("one");
  world.start("two");
  await world.submit();
  await world.until("one began");
  one.clock.freeze();
  await world.clock.advance(3_500);
  await one.clock.thaw();
  await world.untilState("done");
  expect(world.trace).toEqual(["one began", "one published"]);
});

test("what a job left on its way is removed once it is on record that it is done, and not by who could not write that", async () => {
  const world = new World();
  const one = world.start("one");
  const partition = (name: string): void => {
    if (name === "one") one.bus.isPartitioned = true;
  };
  world.work = { steps: 1, stepMs: 100, afterPublishing: partition };
  await world.submit();
  await world.until("one published");
  world.start("two");
  await world.untilState("done");
  one.bus.isPartitioned = false;
  await world.clock.advance(20_000);
  expect(world.trace).toEqual(["one began", "one published", "two began", "two published"]);
  expect(world.tidied).toEqual(["two: done"]);
});

test("what cannot be removed is told, and the job is done", async () => {
  const world = new World();
  world.work = { steps: 1, stepMs: 100, tidyingFailsWith: new Error("in use") };
  world.start("one");
  await world.submit();
  await world.untilState("done");
  await world.clock.advance(1_000);
  expect(world.tidied).toEqual(["one: done"]);
  expect(world.log.join("\n")).toContain("in use");
  expect(world.lease()?.instance).toBe("");
});

test("an outage of the engine stops no work; what is published waits for its return", async () => {
  const world = new World();
  world.start("one");
  world.start("two");
  await world.submit();
  await world.until("one began");
  world.engine.stop();
  await world.clock.advance(60_000);
  expect(world.trace).toEqual(["one began"]);
  world.engine.start();
  await world.untilState("done");
  expect(world.trace).toEqual(["one began", "one published"]);
  expect(world.record()?.starts).toBe(1);
});

test("an engine that comes back empty learns of the job again from its leader", async () => {
  const world = new World();
  world.start("one");
  world.start("two");
  await world.submit();
  await world.until("one began");
  await world.clock.advance(3_000);
  world.engine.wipe();
  expect(world.record()).toBeUndefined();
  await world.clock.advance(5_000);
  expect(world.record()).toMatchObject({ state: "running", leader: "one", starts: 1 });
  await world.untilState("done");
  expect(world.trace).toEqual(["one began", "one published"]);
});

test("an engine with data from before the job began does not make it begin again", async () => {
  const world = new World();
  await world.submit();
  const old = world.engine.snapshot();
  world.start("one");
  world.start("two");
  await world.until("one began");
  await world.clock.advance(4_000);
  world.engine.restore(old);
  await world.untilState("done");
  expect(world.trace.filter((line) => line.endsWith("published"))).toHaveLength(1);
  await world.clock.advance(30_000);
  expect(world.engine.jobs.size).toBe(0);
});

test("an engine with data from before the job ended has it led once more, to the same end", async () => {
  const world = new World();
  world.start("one");
  await world.submit();
  await world.until("one began");
  await world.clock.advance(2_000);
  const old = world.engine.snapshot();
  await world.untilState("done");
  await world.clock.advance(5_000);
  world.engine.restore(old);
  await world.untilState("done");
  expect(world.record()?.starts).toBe(2);
});

test("a leader cut off from the engine gives way to another that is not", async () => {
  const world = new World();
  world.work = { steps: 40, stepMs: 1_000 };
  const one = world.start("one");
  world.start("two");
  await world.submit();
  await world.until("one began");
  one.bus.isPartitioned = true;
  await world.until("two began");
  one.bus.isPartitioned = false;
  await world.until("one stopped", 5_000);
  await world.untilState("done");
  expect(world.trace.filter((line) => line.endsWith("published"))).toEqual(["two published"]);
});

test("lost answers cost nothing but time", async () => {
  const world = new World();
  let operations = 0;
  world.engine.before = ({ act }) => {
    operations += 1;
    if (act === "watch") return "ok";
    return operations % 7 === 0 ? "lose-reply" : operations % 11 === 0 ? "fail" : "ok";
  };
  world.start("one");
  world.start("two");
  const submitted = world.submit();
  await world.clock.advance(20_000);
  await submitted;
  await world.untilState("done");
  expect(world.trace.filter((line) => line.endsWith("published"))).toHaveLength(1);
});

test("jobs that the queue forgot are found, and no more of them led than there is room for", async () => {
  const world = new World();
  const ids = ["a", "b", "c", "d"];
  world.engine.before = ({ act }) => (act === "publish" ? "fail" : "ok");
  const one = world.start("one", { maxJobs: 2 });
  const submitted = Promise.all(ids.map((id) => world.submit(id)));
  await world.clock.advance(10_000);
  await submitted;
  expect(one.service.leading).toHaveLength(2);
  for (const id of ids) await world.untilState("done", id);
});

test.each(["submitted", "led"] as const)("a job is canceled when it is %s", async (when) => {
  const world = new World();
  if (when === "submitted") {
    await world.submit();
    await world.jobs.requestCancel("job");
    world.start("one");
  } else {
    world.start("one");
    await world.submit();
    await world.until("one began");
    await world.jobs.requestCancel("job");
  }
  await world.untilState("canceled", "job", 10_000);
  await world.clock.advance(1_000);
  expect(world.trace.filter((line) => line.endsWith("published"))).toEqual([]);
  expect(world.engine.jobs.size).toBe(0);
  expect(world.lease()?.instance).toBe("");
});

test("a queued job is canceled though every coordinator is busy", async () => {
  const world = new World();
  world.work = { steps: 1_000, stepMs: 1_000 };
  world.start("one", { maxJobs: 1 });
  await world.submit("a");
  await world.clock.advance(1_000);
  await world.submit("b");
  await world.jobs.requestCancel("b");
  await world.untilState("canceled", "b", 10_000);
  expect(world.record("a")?.state).toBe("running");
});

test("a job that is waiting when it is canceled, and whose leader dies, is canceled by the next", async () => {
  const world = new World();
  const one = world.start("one");
  await world.submit();
  await world.until("one began");
  one.kill();
  await world.jobs.requestCancel("job");
  world.start("two");
  await world.untilState("canceled");
  expect(world.trace).toEqual(["one began"]);
});

test("a job that fails says why, once", async () => {
  const world = new World();
  world.work = { steps: 1, stepMs: 10, failWith: new AmalgamError("checkpoint_malformed", "Cannot read it") };
  world.start("one");
  await world.submit();
  await world.untilState("failed");
  await world.clock.advance(30_000);
  expect(world.record()).toMatchObject({ code: "checkpoint_malformed", reason: "Cannot read it", starts: 1 });
  expect(world.trace).toEqual(["one began"]);
});

test("a job whose storage knows a newer leader is left, and taken up again", async () => {
  const world = new World();
  world.work = { steps: 1, stepMs: 10, failWith: new AmalgamError("fenced", "Generation 3 is at work") };
  world.start("one");
  await world.submit();
  await world.until("one began");
  await world.clock.advance(100);
  expect(world.record()).toMatchObject({ state: "queued", startsWell: 1 });
  expect(world.lease()?.instance).toBe("");
  world.work = { steps: 1, stepMs: 10 };
  await world.untilState("done");
  expect(world.record()?.starts).toBe(2);
});

test("however often the storage knows another leader, the job does not fail of it", async () => {
  const world = new World();
  world.work = { steps: 1, stepMs: 10, failWith: new AmalgamError("fenced", "Epoch 40 is at work") };
  world.start("one");
  await world.submit();
  await world.clock.advance(120_000);
  expect(world.record()?.starts).toBeGreaterThan(maxLostStarts);
  world.work = { steps: 1, stepMs: 10 };
  await world.untilState("done");
});

test("a job that one coordinator cannot lead goes to another, and waits with the reason where there is none", async () => {
  const world = new World();
  const elsewhere = "the plan differs";
  world.work = { steps: 0, stepMs: 0, elsewhere: (name) => (name === "one" ? elsewhere : undefined) };
  world.start("one");
  await world.submit();
  await world.until("one began");
  await world.clock.advance(50_000);
  expect(world.record()).toMatchObject({ state: "queued", reason: elsewhere, starts: 1, startsWell: 1 });
  expect(world.trace).toEqual(["one began"]);
  await world.clock.advance(30_000);
  expect(world.trace).toEqual(["one began", "one began"]);
  world.start("two");
  await world.untilState("done", "job", 20_000);
  expect(world.trace.slice(-2)).toEqual(["two began", "two published"]);
});

test("a job that cannot be led anywhere can be canceled at once", async () => {
  const world = new World();
  world.work = { steps: 0, stepMs: 0, elsewhere: () => "the plan differs" };
  world.start("one");
  await world.submit();
  await world.until("one began");
  await world.clock.advance(1_000);
  await world.jobs.requestCancel("job");
  await world.untilState("canceled", "job", 5_000);
});

test("a leader whose storage hangs lets go of the job, and has room for others", async () => {
  const world = new World();
  world.work = { steps: 1, stepMs: 10, hangsMs: (name) => (name === "one" ? 30_000 : undefined) };
  const one = world.start("one", { maxJobs: 1 });
  await world.submit();
  await world.until("one began");
  world.start("two");
  await world.clock.advance(20_000);
  expect(world.trace).toEqual(["one began"]);
  await world.untilState("done", "job", 20_000);
  expect(world.trace).toEqual(["one began", "two began", "two published"]);
  expect(world.record()).toMatchObject({ leader: "two", starts: 2 });
  expect(one.service.leading).toEqual([]);
});

test("a leader that lost its lease and lives says that its start was well", async () => {
  const world = new World();
  world.work = { steps: 60, stepMs: 1_000 };
  const one = world.start("one");
  await world.submit();
  await world.until("one began");
  world.start("two");
  await world.clock.advance(3_000);
  one.clock.freeze();
  await world.until("two began");
  expect(world.record()?.startsWell).toBeUndefined();
  await one.clock.thaw();
  await world.until("one stopped");
  await world.clock.advance(5_000);
  expect(world.record()).toMatchObject({ leader: "two", starts: 2, startsWell: 1 });
});

test("a coordinator that is told to leave hands its job over at once", async () => {
  const world = new World();
  const one = world.start("one");
  await world.submit();
  await world.until("one began");
  world.start("two");
  await world.clock.advance(1_000);
  await one.stop();
  expect(world.record()).toMatchObject({ starts: 1, startsWell: 1 });
  expect(world.engine.nodes.get(keys.node("one"))).toBeUndefined();
  await world.until("two began", 1_000);
  await world.untilState("done");
  expect(world.trace).toEqual(["one began", "one stopped", "two began", "two published"]);
});

test("a coordinator that is told to leave while the engine is away leaves", async () => {
  const world = new World();
  const one = world.start("one");
  await world.submit();
  await world.until("one began");
  await world.clock.advance(1_000);
  world.engine.stop();
  await world.clock.advance(10_000);
  await one.stop();
  world.engine.start();
  world.start("two");
  await world.untilState("done");
});

test("a job that brings down one coordinator after another fails in the end", async () => {
  const world = new World();
  await world.submit();
  for (let i = 1; i <= 5; i += 1) {
    const doomed = world.start(`c${i}`);
    await world.until(`c${i} began`);
    doomed.kill();
  }
  world.start("last");
  await world.untilState("failed");
  expect(world.record()).toMatchObject({ starts: 6, code: "internal" });
  expect(world.record()?.reason).toContain("It brought down 5 coordinators");
  expect(world.trace).not.toContain("last began");
});

test("a job that gets something done each time is led as often as it takes", async () => {
  const world = new World();
  world.work = { steps: 10, stepMs: 1_000, tellsProgress: true };
  await world.submit();
  for (let i = 1; i <= 8; i += 1) {
    const doomed = world.start(`c${i}`);
    await world.until(`c${i} began`);
    await world.clock.advance(3_500);
    doomed.kill();
  }
  world.start("last");
  await world.untilState("done");
  expect(world.record()?.starts).toBe(9);
});

test("coordinators are nodes, and their jobs tell what happens", async () => {
  const world = new World();
  world.work = { steps: 3, stepMs: 400, tellsProgress: true };
  world.start("one");
  await world.submit();
  await world.untilState("done");
  await world.clock.advance(1_000);
  const node = JSON.parse(world.engine.nodes.get(keys.node("one"))?.value ?? "") as NodeRecord;
  expect(node).toMatchObject({ role: "coordinator", state: "ready", slots: 2, running: 0 });
  const progress: unknown = JSON.parse(world.engine.nodes.get(keys.progress("job"))?.value ?? "");
  expect(progress).toMatchObject({ units: 3, unitsDone: 3 });
  const events = world.engine.events.entries.map(({ topic, body }) => [
    topic,
    (JSON.parse(body) as { type: string }).type,
  ]);
  expect(events).toEqual([
    ["job", "leading"],
    ["job", "job done"],
  ]);
});

test("messages that are no job's are forgotten, and records that are none are skipped", async () => {
  const world = new World();
  world.engine.state.set("jobs.broken", "{");
  world.engine.state.set("leases.job", "{");
  world.engine.state.set(keys.job("job"), JSON.stringify(jobRecordOf()));
  world.start("one");
  world.engine.jobs.publish("x", "no such job");
  world.engine.jobs.publish("y", `${"z".repeat(5_000)}\u0000/..`);
  await world.untilState("done");
  await world.clock.advance(5_000);
  expect(world.engine.jobs.size).toBe(0);
});

test("a second coordinator under the name of one that is alive is refused", async () => {
  const world = new World();
  world.start("one");
  await world.clock.advance(2_000);
  const other = world.start("one");
  await world.clock.advance(2_000);
  await expect(other.stop()).rejects.toMatchObject({ code: "usage" });
});

test("an engine that does not answer at the beginning is an error", async () => {
  const world = new World();
  world.engine.stop();
  const one = world.start("one");
  await expect(one.stop()).rejects.toThrow("no answer within 2000 ms");
});
