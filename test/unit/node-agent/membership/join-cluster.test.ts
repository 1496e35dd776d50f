import { expect, test, vi } from "vitest";
import { type JoinOptions, joinCluster, type Membership } from "../../../../node-agent/membership/join-cluster.js";
import { wordOf } from "../../../../shared/bus/bus.js";
import {
  type ClusterEvent,
  keys,
  type NodeRecord,
  nodeRecord,
  type OrderRecord,
  parseRecord,
} from "../../../../shared/cluster/records.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { MemoryEngine } from "../../../simulation/memory-bus.js";
import { ProcessClock, VirtualClock } from "../../../simulation/virtual-clock.js";

const name = "box 1";

/** A cluster of which only the engine is there. */
function cluster() {
  const world = new VirtualClock();
  const engine = new MemoryEngine(world);
  const onlooker = engine.client("onlooker");
  return {
    world,
    engine,
    state: onlooker.state,
    record: (): NodeRecord | undefined => parseRecord(nodeRecord, engine.nodes.get(keys.node(name))?.value),
    events: (): readonly ClusterEvent[] =>
      engine.events.entries
        .filter(({ topic }) => topic === wordOf(name))
        .map(({ body }) => JSON.parse(body) as ClusterEvent),
    /** An agent's process. */
    agent(instance: string, options: Partial<JoinOptions> = {}) {
      const clock = new ProcessClock(world);
      const bus = engine.client(instance, clock);
      const orders: OrderRecord[] = [];
      const replaced: AmalgamError[] = [];
      const description = {
        name,
        instance,
        role: "agent" as const,
        address: "10.0.0.1:4000",
        host: "host",
        pid: 17,
        version: "1",
        protocol: 1,
        kernels: "1",
        slots: 4,
        memoryBytes: 1,
        roots: ["/models"],
        startedAt: "2026-01-01T00:00:00Z",
      };
      const join = (): Promise<Membership> =>
        joinCluster(bus, description, {
          clock,
          running: () => 2,
          onDrain: (order) => orders.push(order),
          onReplaced: (error) => replaced.push(error),
          ...options,
        });
      return { clock, bus, orders, replaced, join };
    },
    /** What a promise comes to while time passes. */
    async inTime<T>(promise: PromiseLike<T>, ms = 60_000): Promise<T> {
      let isSettled = false;
      const settled = (): void => {
        isSettled = true;
      };
      promise.then(settled, settled);
      expect(await world.advanceUntil(() => isSettled, ms)).toBe(true);
      return await promise;
    },
  };
}

test("an agent that joins is on the register, with a beat that grows every second", async () => {
  const { world, agent, record, events, inTime } = cluster();
  await inTime(agent("a").join());
  expect(record()).toMatchObject({ name, instance: "a", state: "ready", running: 2, beatMs: 1_000, slots: 4 });
  const before = record()?.beat ?? 0;
  await world.advance(5_000);
  expect(record()?.beat).toBe(before + 5);
  expect(events()).toMatchObject([{ type: "started", level: "info", node: name, fields: { slots: 4 } }]);
});

test("drain() is told at once, and leaving takes the agent off the register", async () => {
  const { agent, record, events, inTime, world } = cluster();
  const membership = await inTime(agent("a").join());
  await inTime(membership.drain(), 0);
  expect(record()?.state).toBe("draining");
  await inTime(membership[Symbol.asyncDispose]());
  expect(record()).toBeUndefined();
  await world.advance(10_000);
  expect(record()).toBeUndefined();
  expect(events().map(({ type }) => type)).toEqual(["started", "draining", "ended"]);
});

test("an order is obeyed by the instance that it is meant for, once", async () => {
  const { agent, state, inTime, world, engine } = cluster();
  const order = (instance: string): string => JSON.stringify({ instance, order: "drain", by: "ann@host" });
  await inTime(state.put(keys.order(name), order("the one before")));
  const { join, orders } = agent("a");
  const membership = await inTime(join());
  await inTime(state.put(keys.order(`${name}0`), order("a")));
  await inTime(state.put(keys.order(name), "{}"));
  await world.advance(5_000);
  expect(orders).toEqual([]);
  await inTime(state.put(keys.order(name), order("a")));
  await inTime(state.put(keys.order(name), order("a")));
  await world.advance(1_000);
  expect(orders).toEqual([{ instance: "a", order: "drain", by: "ann@host" }]);
  await inTime(membership[Symbol.asyncDispose]());
  expect(engine.state.get(keys.order(name))).toBeUndefined();
});

test("a name that another instance beats under is refused", async () => {
  const { agent, record, inTime } = cluster();
  await inTime(agent("a").join());
  await expect(inTime(agent("b").join())).rejects.toMatchObject({
    code: "usage",
    message: `Cannot join the cluster as "${name}": process 17 of host "host" at "10.0.0.1:4000" has that name and is alive; end it, or give this one another with "--name"`,
  });
  expect(record()?.instance).toBe("a");
});

test("of two that join at the same time one is refused", async () => {
  const { agent, inTime } = cluster();
  const joined = await inTime(Promise.allSettled([agent("a").join(), agent("b").join()]));
  expect(joined.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
});

test("one that died is replaced after four beats of silence, by the newcomer's own clock", async () => {
  const { agent, record, inTime, world } = cluster();
  const dead = agent("a");
  await inTime(dead.join());
  dead.clock.freeze();
  const begun = world.now();
  await inTime(agent("b").join());
  expect(world.now() - begun).toBeGreaterThanOrEqual(4_000);
  expect(record()?.instance).toBe("b");
});

test.each([
  ["whose last beat comes late", 1],
  ["of whom an engine that was set back has an older beat", -1],
])("one that died and %s is replaced", async (_, step) => {
  const { agent, record, inTime, world } = cluster();
  const dead = agent("a");
  await inTime(dead.join());
  await world.advance(3_000);
  dead.clock.freeze();
  const { bus, join } = agent("b");
  const joining = inTime(join());
  await world.advance(1_000);
  const last = record();
  await bus.nodes.put(keys.node(name), JSON.stringify({ ...last, beat: (last?.beat ?? 0) + step }));
  await joining;
  expect(record()?.instance).toBe("b");
});

test("one that left in peace is replaced at once", async () => {
  const { agent, record, inTime, world } = cluster();
  const membership = await inTime(agent("a").join());
  await inTime(membership[Symbol.asyncDispose]());
  const begun = world.now();
  await inTime(agent("b").join());
  expect([world.now() - begun, record()?.instance]).toEqual([0, "b"]);
});

test("one that was frozen and replaced gives way when it wakes", async () => {
  const { agent, record, inTime, world, events } = cluster();
  const frozen = agent("a");
  const membership = await inTime(frozen.join());
  frozen.clock.freeze();
  await inTime(agent("b").join());
  await world.advance(60_000);
  await frozen.clock.thaw();
  await world.advance(10_000);
  expect(frozen.replaced).toEqual([
    expect.objectContaining({ code: "fenced", message: expect.stringContaining("another one has joined") }),
  ]);
  await inTime(membership[Symbol.asyncDispose]());
  await world.advance(10_000);
  expect(record()?.instance).toBe("b");
  expect(events().filter(({ type }) => type === "ended")).toEqual([]);
});

test("one that is ended as it wakes leaves its successor on the register", async () => {
  const { agent, record, inTime } = cluster();
  const frozen = agent("a");
  const membership = await inTime(frozen.join());
  frozen.clock.freeze();
  await inTime(agent("b").join());
  const left = membership[Symbol.asyncDispose]();
  await frozen.clock.thaw();
  await inTime(left);
  expect(frozen.replaced).toEqual([]);
  expect(record()?.instance).toBe("b");
});

test("one that was frozen and not replaced goes on", async () => {
  const { agent, record, inTime, world } = cluster();
  const frozen = agent("a");
  await inTime(frozen.join());
  frozen.clock.freeze();
  await world.advance(60_000);
  await frozen.clock.thaw();
  const before = record()?.beat ?? 0;
  await world.advance(3_000);
  expect(record()?.beat).toBeGreaterThan(before);
  expect(frozen.replaced).toEqual([]);
});

test.each([
  ["stopped for a minute", 60_000],
  ["restarted", 0],
])("an engine that was %s, and forgot all, hears from the agent again", async (_case, ms) => {
  const { agent, record, inTime, world, engine } = cluster();
  const { join, orders, replaced, bus } = agent("a");
  await inTime(join());
  engine.stop();
  await world.advance(ms);
  engine.wipe();
  engine.start();
  await world.advance(5_000);
  expect(record()).toMatchObject({ instance: "a", state: "ready" });
  const order = JSON.stringify({ instance: "a", order: "drain", by: "ann@host" });
  await inTime(bus.state.put(keys.order(name), order));
  await world.advance(1_000);
  expect(orders).toHaveLength(1);
  expect(replaced).toEqual([]);
});

test("a beat whose reply is lost does not cost the agent its name", async () => {
  const { agent, record, inTime, world, engine } = cluster();
  const { join, replaced } = agent("a");
  await inTime(join());
  let operations = 0;
  engine.before = () => {
    operations += 1;
    return operations % 3 === 0 ? "lose-reply" : "ok";
  };
  await world.advance(60_000);
  engine.before = undefined;
  const before = record()?.beat ?? 0;
  await world.advance(10_000);
  expect(record()?.beat).toBeGreaterThan(before);
  expect(replaced).toEqual([]);
});

test("leaving while the engine is away does not hang", async () => {
  const { agent, inTime, engine } = cluster();
  const membership = await inTime(agent("a").join());
  engine.stop();
  void membership.drain();
  await inTime(membership[Symbol.asyncDispose](), 10_000);
});

test("joining can be given up while a silent holder is watched", async () => {
  const { agent, inTime, world } = cluster();
  const dead = agent("a");
  await inTime(dead.join());
  dead.clock.freeze();
  const giveUp = new AbortController();
  const joining = agent("b", { signal: giveUp.signal }).join();
  const failed = expect(joining).rejects.toThrow("enough");
  await world.advance(1_000);
  giveUp.abort(new Error("enough"));
  await world.advance(1_000);
  await failed;
});

test("an agent that hears nothing of its orders yet beats meanwhile, and can give up", async () => {
  const { agent, record, inTime, world } = cluster();
  const giveUp = new AbortController();
  const { bus, join } = agent("a", { signal: giveUp.signal });
  vi.spyOn(bus.state, "watch").mockReturnValue(new Promise(() => undefined));
  const joining = join();
  const failed = expect(joining).rejects.toThrow("enough");
  await world.advance(5_000);
  expect(record()?.beat).toBeGreaterThan(4);
  giveUp.abort(new Error("enough"));
  await inTime(failed);
  expect(record()).toBeUndefined();
});

test("an agent that cannot hear its orders fails, leaves the register and can join later", async () => {
  const { agent, record, inTime, events } = cluster();
  const { bus, join } = agent("a");
  const unheard = new AmalgamError("bus_failed", "Cannot watch");
  vi.spyOn(bus.state, "watch").mockRejectedValueOnce(unheard);
  await expect(inTime(join())).rejects.toBe(unheard);
  expect([record(), events()]).toEqual([undefined, []]);
  await inTime(join());
  expect(record()?.instance).toBe("a");
});

test("a record that readers would skip is refused", async () => {
  const { agent, inTime } = cluster();
  const { join } = agent("a", { beatMs: -1 });
  await expect(inTime(join())).rejects.toThrow('Cannot join the cluster as "box 1": its beatMs cannot be told');
});
