import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Bus, Change, FeedEntry } from "../../../shared/bus/bus.js";
import { type BusOptions, openBus } from "../../../shared/bus/nats/open.js";
import { type NatsServer, natsBinaries, startNatsServer } from "../../support/nats-server.js";

// What the bus promises while its server is well, on a real nats-server. Every test has a prefix of its own.

describe.each(natsBinaries())("on nats-server ($binary)", ({ binary, reason }) => {
  let server: NatsServer;
  let tests = 0;

  beforeAll(async () => {
    if (reason === undefined) server = await startNatsServer({ binary });
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  const prefixed = (options: Partial<BusOptions> = {}): BusOptions => ({
    url: server.url,
    name: "test",
    prefix: `test-${tests++}`,
    ...options,
  });
  const open = (options: Partial<BusOptions> = {}): Promise<Bus> => openBus(prefixed(options));
  const skipped = test.skipIf(reason !== undefined);

  skipped("of 20 that create a key at the same time exactly one does", async () => {
    await using bus = await open();
    const created = await Promise.all(Array.from({ length: 20 }, (_, index) => bus.state.create("jobs.a", `${index}`)));
    expect(created.filter((revision) => revision !== undefined)).toHaveLength(1);
    const entry = await bus.state.get("jobs.a");
    expect(entry?.value).toBe(String(created.findIndex((revision) => revision !== undefined)));
    expect(entry?.revision).toBe(created.find((revision) => revision !== undefined));
  });

  skipped("of 20 that change the same revision exactly one does, and a stale one never", async () => {
    await using bus = await open();
    const first = (await bus.state.create("leases.a", "0")) ?? Number.NaN;
    const updated = await Promise.all(
      Array.from({ length: 20 }, (_, index) => bus.state.update("leases.a", `${index}`, first)),
    );
    const second = updated.find((revision) => revision !== undefined) ?? Number.NaN;
    expect(updated.filter((revision) => revision !== undefined)).toHaveLength(1);
    expect(second).toBeGreaterThan(first);
    expect(await bus.state.update("leases.a", "late", first)).toBeUndefined();
    expect(await bus.state.update("leases.b", "never there", first)).toBeUndefined();
  });

  skipped("a deleted key is gone, cannot be changed and can be created again", async () => {
    await using bus = await open();
    const first = (await bus.state.create("jobs.a", "1")) ?? Number.NaN;
    await bus.state.delete("jobs.a");
    expect(await bus.state.get("jobs.a")).toBeUndefined();
    expect(await bus.state.entries("jobs.")).toEqual([]);
    expect(await bus.state.update("jobs.a", "2", first)).toBeUndefined();
    const again = await Promise.all(Array.from({ length: 5 }, () => bus.state.create("jobs.a", "3")));
    expect(again.filter((revision) => revision !== undefined)).toHaveLength(1);
    expect((await bus.state.get("jobs.a"))?.value).toBe("3");
  });

  skipped("entries() lists what begins with a prefix, and nothing when there is nothing", async () => {
    await using bus = await open();
    expect(await bus.nodes.entries("nodes.")).toEqual([]);
    for (let index = 0; index < 50; index++) await bus.nodes.put(`nodes.n${index}`, `${index}`);
    await bus.nodes.put("progress.n0", "other");
    const entries = await bus.nodes.entries("nodes.");
    expect(entries.map(({ key }) => key)).toEqual(Array.from({ length: 50 }, (_, index) => `nodes.n${index}`));
    expect(await bus.nodes.entries("")).toHaveLength(51);
  });

  skipped("a watch tells what is there, then what changes", async () => {
    await using bus = await open();
    await bus.state.put("jobs.a", "1");
    await bus.state.put("other.a", "1");
    const changes: Change[] = [];
    await using _ = await bus.state.watch("jobs.", (change) => changes.push(change));
    expect(changes.map(({ key, value }) => [key, value])).toEqual([["jobs.a", "1"]]);
    await bus.state.put("jobs.b", "2");
    await bus.state.delete("jobs.a");
    await expect
      .poll(() => changes.map(({ key, value }) => [key, value]))
      .toEqual([
        ["jobs.a", "1"],
        ["jobs.b", "2"],
        ["jobs.a", undefined],
      ]);
  });

  skipped("a watch of an empty bucket begins at once, and ends for good", async () => {
    await using bus = await open();
    const changes: Change[] = [];
    const watch = await bus.state.watch("", (change) => changes.push(change));
    await watch[Symbol.asyncDispose]();
    await bus.state.put("jobs.a", "1");
    await bus.state.get("jobs.a");
    expect(changes).toEqual([]);
  });

  skipped("a job goes to one taker, and again to another if that one is silent", async () => {
    await using bus = await open({ ackWaitMs: 600 });
    await bus.jobs.publish("a", "job a");
    const { signal } = new AbortController();
    const first = await bus.jobs.take(signal);
    expect([first?.body, first?.isRepeated]).toEqual(["job a", false]);
    const second = await bus.jobs.take(signal);
    expect([second?.body, second?.isRepeated]).toEqual(["job a", true]);
    expect(await second?.done()).toBe(true);
  });

  skipped("a job that is worked on or done is nobody else's", async () => {
    await using bus = await open({ ackWaitMs: 600 });
    await bus.jobs.publish("a", "job a");
    const delivery = await bus.jobs.take(new AbortController().signal);
    const beat = setInterval(() => delivery?.working(), 150);
    expect(await bus.jobs.take(AbortSignal.timeout(1_800))).toBeUndefined();
    clearInterval(beat);
    expect(await delivery?.done()).toBe(true);
    expect(await bus.jobs.take(AbortSignal.timeout(1_200))).toBeUndefined();
  });

  skipped("a job given back comes later, and one id is one job", async () => {
    await using bus = await open();
    await bus.jobs.publish("a", "job a");
    await bus.jobs.publish("a", "job a");
    const { signal } = new AbortController();
    const first = await bus.jobs.take(signal);
    first?.later(300);
    const again = await bus.jobs.take(signal);
    expect([again?.body, again?.isRepeated]).toEqual(["job a", true]);
    await again?.done();
    expect(await bus.jobs.take(AbortSignal.timeout(500))).toBeUndefined();
  });

  skipped("takers wait for a job that is published later, each for its own", async () => {
    await using bus = await open();
    await using other = await openBus({ url: server.url, name: "other", prefix: `test-${tests - 1}` });
    const { signal } = new AbortController();
    const taken = [bus.jobs.take(signal), other.jobs.take(signal)];
    await bus.jobs.publish("a", "job a");
    await other.jobs.publish("b", "job b");
    const bodies = (await Promise.all(taken)).map((delivery) => delivery?.body);
    expect(bodies.sort()).toEqual(["job a", "job b"]);
  });

  skipped("events are read back in order, by topic or all", async () => {
    await using bus = await open();
    for (let index = 0; index < 300; index++) bus.events.append(index % 3 === 0 ? "a" : "b", `${index}`);
    await bus.state.get("flushed");
    const all = await collect(bus.events.read({}));
    expect(all.map(({ body }) => Number(body))).toEqual(Array.from({ length: 300 }, (_, index) => index));
    const some = await collect(bus.events.read({ topic: "a" }));
    expect(some.map(({ topic, body }) => [topic, Number(body)])).toEqual(
      Array.from({ length: 100 }, (_, index) => ["a", 3 * index]),
    );
    expect(await collect(bus.events.read({ topic: "none" }))).toEqual([]);
  });

  skipped("a reader that is busy misses no event of many", async () => {
    await using bus = await open();
    const body = "x".repeat(2_000);
    for (let index = 0; index < 5_000; index++) {
      bus.events.append("a", `${index} ${body}`);
      if (index % 500 === 0) await bus.state.get("flushed");
    }
    await bus.state.get("flushed");
    let read = 0;
    for await (const entry of bus.events.read({})) {
      expect(Number.parseInt(entry.body, 10)).toBe(read++);
      // Longer than between two heartbeats, so that one comes while the server waits for us.
      if (read === 1_000) blockMs(1_300);
    }
    expect(read).toBe(5_000);
  });

  skipped("events are followed until the reader has enough", async () => {
    await using bus = await open();
    bus.events.append("a", "0");
    const ending = new AbortController();
    const bodies: string[] = [];
    for await (const { body } of bus.events.read({ topic: "a", follow: true, signal: ending.signal })) {
      bodies.push(body);
      if (bodies.length < 5) bus.events.append("a", String(bodies.length));
      else ending.abort();
    }
    expect(bodies).toEqual(["0", "1", "2", "3", "4"]);
  });

  skipped("values that are too large and keys that are none are refused", async () => {
    await using bus = await open();
    await bus.state.put("jobs.a", "x".repeat(512 << 10));
    await expect(bus.state.put("jobs.a", "x".repeat((512 << 10) + 1))).rejects.toMatchObject({ code: "usage" });
    await expect(bus.state.put("jobs.*", "1")).rejects.toMatchObject({ code: "usage" });
    await expect(bus.state.entries("jobs")).rejects.toMatchObject({ code: "usage" });
    bus.events.append("not a word", "1");
    bus.events.append("a", "x".repeat(1 << 20));
    expect(await collect(bus.events.read({}))).toEqual([]);
  });

  skipped("clusters with different prefixes do not see one another", async () => {
    await using bus = await open();
    await using other = await open();
    await bus.state.put("jobs.a", "1");
    await bus.jobs.publish("a", "a");
    expect(await other.state.get("jobs.a")).toBeUndefined();
    expect(await other.jobs.take(AbortSignal.timeout(300))).toBeUndefined();
  });
});

async function collect(entries: AsyncIterable<FeedEntry>): Promise<readonly FeedEntry[]> {
  const collected: FeedEntry[] = [];
  for await (const entry of entries) collected.push(entry);
  return collected;
}

function blockMs(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
