import { expect, test } from "vitest";
import { firstLook } from "../../../../coordinator/cluster/first-look.js";
import { Registry } from "../../../../coordinator/cluster/registry.js";
import type { Bus } from "../../../../shared/bus/bus.js";
import { type Clock, sleep } from "../../../../shared/clock.js";
import { keys, type NodeRecord } from "../../../../shared/cluster/records.js";
import { MemoryEngine } from "../../../simulation/memory-bus.js";
import { VirtualClock } from "../../../simulation/virtual-clock.js";
import { nodeRecordOf } from "./records.js";

async function beat(bus: Bus, clock: Clock, fields: Partial<NodeRecord>, signal: AbortSignal): Promise<void> {
  const name = fields.name ?? "a";
  for (let count = 1; !signal.aborted; count += 1) {
    const record = nodeRecordOf(name, { beat: count, ...fields });
    await bus.nodes.put(keys.node(name), JSON.stringify(record)).catch(() => undefined);
    await sleep(clock, 1_000, signal);
  }
}

function cluster() {
  const clock = new VirtualClock();
  const engine = new MemoryEngine(clock);
  const bus = engine.client("reader");
  const join = (name: string, fields: Partial<NodeRecord> = {}) => {
    const life = new AbortController();
    const own = engine.client(name);
    void beat(own, clock, { name, ...fields }, life.signal);
    return { bus: own, kill: () => life.abort() };
  };
  return { clock, engine, bus, join };
}

const namesOf = (registry: Registry): readonly string[] => registry.list.map(({ record }) => record.name);

test("nodes come and go as they beat", async () => {
  const { clock, bus, join } = cluster();
  await using registry = await Registry.watch(bus, clock);
  const told: string[] = [];
  registry.onChange((nodes) => told.push(nodes.map(({ record }) => record.name).join()));
  const a = join("a");
  await clock.advance(2_000);
  join("b");
  await clock.advance(10_000);
  expect(namesOf(registry)).toEqual(["a", "b"]);
  a.kill();
  await clock.advance(6_000);
  expect(namesOf(registry)).toEqual(["b"]);
  expect(told).toEqual(["a", "a,b", "b"]);
});

test("a record that nobody renews any more is not a node", async () => {
  const { clock, engine, bus } = cluster();
  engine.nodes.set(keys.node("dead"), JSON.stringify(nodeRecordOf("dead")));
  await using registry = await Registry.watch(bus, clock);
  await clock.advance(20_000);
  expect(namesOf(registry)).toEqual([]);
});

test("a node that takes its leave is gone at once", async () => {
  const { clock, bus, join } = cluster();
  await using registry = await Registry.watch(bus, clock);
  const a = join("a");
  await clock.advance(3_000);
  a.kill();
  await a.bus.nodes.delete(keys.node("a"));
  await clock.advance(0);
  expect(namesOf(registry)).toEqual([]);
});

test("a node that was started again replaces itself", async () => {
  const { clock, bus, join } = cluster();
  await using registry = await Registry.watch(bus, clock);
  const before = join("a");
  await clock.advance(3_000);
  before.kill();
  join("a", { instance: "a#2", address: "127.0.0.1:7001" });
  await clock.advance(0);
  expect(registry.list.map(({ record }) => record.address)).toEqual(["127.0.0.1:7001"]);
});

test.each([
  ["stops", (engine: MemoryEngine) => engine.stop(), (engine: MemoryEngine) => engine.start()],
  ["is wiped", (engine: MemoryEngine) => engine.wipe(), () => undefined],
])("nobody is declared gone because the engine %s", async (_, breakIt, mendIt) => {
  const { clock, engine, bus, join } = cluster();
  await using registry = await Registry.watch(bus, clock);
  join("a");
  await clock.advance(3_000);
  const lists: (readonly string[])[] = [];
  registry.onChange(() => lists.push(namesOf(registry)));
  breakIt(engine);
  await clock.advance(30_000);
  expect(namesOf(registry)).toEqual(["a"]);
  mendIt(engine);
  await clock.advance(30_000);
  expect(namesOf(registry)).toEqual(["a"]);
  expect(lists.filter((names) => names.length === 0)).toEqual([]);
});

test("nobody is declared gone while the reader's own beats do not come back either", async () => {
  const { clock, engine, bus, join } = cluster();
  join("a");
  join("self");
  await using registry = await Registry.watch(bus, clock, { self: { name: "self", beatMs: 1_000 } });
  await clock.advance(3_000);
  // A connection that is dead without anybody having noticed: everything is lost, nothing is said.
  engine.before = () => "fail";
  await clock.advance(60_000);
  expect(namesOf(registry)).toEqual(["a", "self"]);
  engine.before = undefined;
  await clock.advance(10_000);
  expect(namesOf(registry)).toEqual(["a", "self"]);
});

test("records that are none are skipped", async () => {
  const { clock, engine, bus, join } = cluster();
  engine.nodes.set("nodes.x", "{");
  engine.nodes.set("nodes.y", '{"name":""}');
  await using registry = await Registry.watch(bus, clock);
  join("a");
  await clock.advance(2_000);
  expect(namesOf(registry)).toEqual(["a"]);
});

test("a first look tells who lives and who does not, and ends when everybody has beaten", async () => {
  const { clock, engine, bus, join } = cluster();
  join("a");
  join("b");
  await clock.advance(1_500);
  const look = firstLook(bus, clock);
  await clock.advance(600);
  expect((await look).map(({ record, life }) => [record.name, life])).toEqual([
    ["a", "live"],
    ["b", "live"],
  ]);
  engine.nodes.set(keys.node("dead"), JSON.stringify(nodeRecordOf("dead")));
  const second = firstLook(bus, clock);
  await clock.advance(4_100);
  expect((await second).map(({ record, life }) => [record.name, life])).toEqual([
    ["a", "live"],
    ["b", "live"],
    ["dead", "stale"],
  ]);
});

test("a first look at an empty cluster, and one that the engine interrupts", async () => {
  const { clock, engine, bus, join } = cluster();
  const empty = firstLook(bus, clock);
  await clock.advance(100);
  expect(await empty).toEqual([]);
  join("a");
  await clock.advance(100);
  const interrupted = firstLook(bus, clock);
  await clock.advance(50);
  engine.stop();
  await clock.advance(5_000);
  expect((await interrupted).map(({ life }) => life)).toEqual(["unknown"]);
});
