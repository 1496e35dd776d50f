import { expect, test } from "vitest";
import type { Change } from "../../shared/bus/bus.js";
import { MemoryEngine } from "./memory-bus.js";
import { ProcessClock, VirtualClock } from "./virtual-clock.js";

const forever = new AbortController().signal;

test("timers run in order of their time, and promises settle between them", async () => {
  const clock = new VirtualClock();
  const trace: string[] = [];
  clock.after(20, () => trace.push(`c${clock.now()}`));
  clock.after(10, () => {
    trace.push(`a${clock.now()}`);
    void Promise.resolve().then(() => trace.push("settled"));
  });
  clock.after(10, () => trace.push("b"));
  clock.after(15, () => trace.push("never")).clear();
  await clock.advance(30);
  expect(trace).toEqual(["a10", "settled", "b", "c20"]);
  expect(clock.now()).toBe(30);
});

test("in a process that was stopped, what came in runs before the timers that are overdue", async () => {
  const world = new VirtualClock();
  const clock = new ProcessClock(world);
  const engine = new MemoryEngine(world, { before: () => 10 });
  const trace: string[] = [];
  clock.after(5, () => trace.push("timer"));
  const answer = engine
    .client("one", clock)
    .state.put("key", "value")
    .then(() => trace.push("answer"));
  clock.freeze();
  await world.advance(1_000);
  expect(trace).toEqual([]);
  expect(engine.state.get("key")?.value).toBe("value");
  await clock.thaw();
  await answer;
  expect(trace).toEqual(["answer", "timer"]);
  expect(clock.now()).toBe(1_000);
});

test("an operation is lost, or takes effect unheard, or is late", async () => {
  const world = new VirtualClock();
  const engine = new MemoryEngine(world);
  const bus = engine.client("one");
  for (const [fate, stored] of [
    ["fail", undefined],
    ["lose-reply", "value"],
    [60_000, "value"],
  ] as const) {
    engine.wipe();
    engine.before = () => fate;
    const failed = expect(bus.state.put("key", "value")).rejects.toThrow('Cannot put "key": no answer within 2000 ms');
    await world.advance(60_000);
    await failed;
    expect(engine.state.get("key")?.value).toBe(stored);
  }
});

test("a watch hears what was there, what changes, and all of it again after an absence", async () => {
  const world = new VirtualClock();
  const engine = new MemoryEngine(world);
  const [bus, other] = [engine.client("one"), engine.client("two")];
  await other.state.put("jobs.a", "1");
  await other.state.put("leases.a", "1");
  const heard: Change[] = [];
  const watch = await bus.state.watch("jobs.", (change) => heard.push(change));
  await other.state.put("jobs.a", "2");
  bus.isPartitioned = true;
  await other.state.put("jobs.b", "3");
  await other.state.delete("jobs.a");
  await world.advance(0);
  expect(heard.map(({ value }) => value)).toEqual(["1", "2"]);
  bus.isPartitioned = false;
  await world.advance(0);
  expect(heard.slice(2).map(({ key, value }) => [key, value])).toEqual([
    ["jobs.b", "3"],
    ["jobs.a", undefined],
  ]);
  await watch[Symbol.asyncDispose]();
  await other.state.put("jobs.a", "4");
  await world.advance(0);
  expect(heard).toHaveLength(4);
});

test("old data has old revisions, and an empty engine begins anew", async () => {
  const engine = new MemoryEngine(new VirtualClock());
  const bus = engine.client("one");
  expect(await bus.state.create("key", "1")).toBe(1);
  const old = engine.snapshot();
  expect(await bus.state.update("key", "2", 1)).toBe(2);
  expect(await bus.state.update("key", "3", 1)).toBeUndefined();
  engine.restore(old);
  expect(await bus.state.get("key")).toEqual({ key: "key", value: "1", revision: 1 });
  engine.wipe();
  expect(await bus.state.create("key", "1")).toBe(1);
});

test("a message goes to another taker when the first is silent, and is gone when it is done", async () => {
  const world = new VirtualClock();
  const engine = new MemoryEngine(world, { ackWaitMs: 1_000 });
  const [one, two] = [engine.client("one"), engine.client("two")];
  await one.jobs.publish("a", "body");
  await one.jobs.publish("a", "the same again");
  const first = await one.jobs.take(forever);
  const second = two.jobs.take(forever);
  await world.advance(900);
  first?.working();
  await world.advance(900);
  expect(engine.jobs.size).toBe(1);
  await world.advance(200);
  const again = await second;
  expect(again).toMatchObject({ body: "body", isRepeated: true });
  again?.later(5_000);
  const third = one.jobs.take(forever);
  await world.advance(5_000);
  expect(await (await third)?.done()).toBe(true);
  expect(engine.jobs.size).toBe(0);
  expect(await again?.done()).toBe(false);
});

test("who waits for a message can stop, and who is cut off gets none", async () => {
  const world = new VirtualClock();
  const engine = new MemoryEngine(world);
  const bus = engine.client("one");
  const patience = new AbortController();
  const taking = bus.jobs.take(patience.signal);
  patience.abort();
  expect(await taking).toBeUndefined();
  bus.isPartitioned = true;
  const late = bus.jobs.take(forever);
  await engine.client("two").jobs.publish("a", "body");
  await world.advance(60_000);
  bus.isPartitioned = false;
  expect((await late)?.isRepeated).toBe(false);
});

test("events are read in order, by topic, and as they come", async () => {
  const engine = new MemoryEngine(new VirtualClock());
  const bus = engine.client("one");
  for (const topic of ["a", "b", "a"]) bus.events.append(topic, `of ${topic}`);
  const found = [];
  for await (const { sequence } of bus.events.read({ topic: "a" })) found.push(sequence);
  expect(found).toEqual([1, 3]);
  const patience = new AbortController();
  const followed: string[] = [];
  for await (const { body } of bus.events.read({ follow: true, signal: patience.signal })) {
    followed.push(body);
    if (followed.length === 3) bus.events.append("c", "the last");
    if (body === "the last") patience.abort();
  }
  expect(followed).toEqual(["of a", "of b", "of a", "the last"]);
});
