import { cp } from "node:fs/promises";
import { describe, test } from "vitest";
import type { Bus, Change, FeedEntry } from "../../../shared/bus/bus.js";
import { type BusOptions, openBus } from "../../../shared/bus/nats/open.js";
import { sleep, systemClock } from "../../../shared/clock.js";
import { startProxy } from "../../support/cluster/proxy.js";
import { type NatsServer, natsBinaries, startNatsServer } from "../../support/nats-server.js";

// What the bus promises when its server is killed, frozen, wiped or goes back in time.

const open = (server: NatsServer, options: Partial<BusOptions> = {}): Promise<Bus> =>
  openBus({ url: server.url, name: "test", ...options });

const patience = { timeout: 20_000, interval: 50 };

/** Until the bus does it: what callers do, who try again after `bus_failed`. */
async function eventually<T>(run: () => Promise<T>): Promise<T> {
  for (const deadline = performance.now() + patience.timeout; ; ) {
    try {
      return await run();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(systemClock, patience.interval);
    }
  }
}

describe.each(natsBinaries())("on nats-server ($binary)", ({ binary, reason }) => {
  // They mostly wait, each for a server of its own.
  const skipped = reason === undefined ? test.concurrent : test.skip;

  skipped("states outlast SIGKILL of the server, and a watch goes on", async ({ expect }) => {
    await using server = await startNatsServer({ binary });
    await using bus = await open(server);
    const seen = new Map<string, string | undefined>();
    await using _ = await bus.state.watch("jobs.", ({ key, value }: Change) => seen.set(key, value));
    const told: boolean[] = [];
    bus.onConnection((isConnected) => told.push(isConnected));
    await bus.state.put("jobs.a", "before");
    await server.kill();
    await expect.poll(() => bus.isConnected, patience).toBe(false);
    await expect(bus.state.get("jobs.a")).rejects.toMatchObject({ code: "bus_failed" });
    await server.restart();
    await expect.poll(() => bus.isConnected, patience).toBe(true);
    expect(told).toEqual([false, true]);
    await expect
      .poll(async () => (await bus.state.get("jobs.a").catch(() => undefined))?.value, patience)
      .toBe("before");
    await eventually(() => bus.state.put("jobs.b", "after"));
    await bus.state.delete("jobs.a");
    await expect
      .poll(() => [...seen], patience)
      .toEqual([
        ["jobs.a", undefined],
        ["jobs.b", "after"],
      ]);
  });

  skipped("an operation that begins during a short absence waits for its end", async ({ expect }) => {
    await using server = await startNatsServer({ binary });
    await using bus = await open(server, { timeoutMs: 15_000 });
    await bus.state.put("jobs.a", "1");
    await server.kill();
    await expect.poll(() => bus.isConnected, patience).toBe(false);
    const asked = bus.state.get("jobs.a");
    await server.restart();
    expect((await asked)?.value).toBe("1");
  });

  skipped(
    "when all data is wiped everything is there again, and watch, queue and followers go on",
    async ({ expect }) => {
      await using server = await startNatsServer({ binary });
      await using bus = await open(server);
      const seen: string[] = [];
      await using _ = await bus.state.watch("jobs.", ({ key }) => seen.push(key));
      const ending = new AbortController();
      const followed: string[] = [];
      const following = follow(bus, ending.signal, ({ body }) => followed.push(body));
      const taken = bus.jobs.take(ending.signal);
      await bus.state.put("jobs.before", "1");
      bus.events.append("a", "before");
      await expect.poll(() => followed, patience).toEqual(["before"]);

      await server.stop();
      await server.wipe();
      await server.restart();

      await eventually(() => bus.state.put("jobs.after", "1"));
      expect(await bus.state.get("jobs.before")).toBeUndefined();
      expect(await bus.nodes.entries("")).toEqual([]);
      await expect.poll(() => seen, patience).toContain("jobs.after");
      await bus.jobs.publish("a", "job a");
      expect((await taken)?.body).toBe("job a");
      bus.events.append("a", "after");
      await expect.poll(() => followed, patience).toEqual(["before", "after"]);
      ending.abort();
      await following;
    },
  );

  skipped("streams that somebody deletes are created again by whoever misses them", async ({ expect }) => {
    await using server = await startNatsServer({ binary });
    await using bus = await open(server);
    await using admin = await openAdmin(server);
    const seen: string[] = [];
    await using _ = await bus.state.watch("jobs.", ({ key }) => seen.push(key));
    for (const stream of ["KV_amalgam-state", "KV_amalgam-nodes", "amalgam-jobs", "amalgam-events"]) {
      await admin.remove(stream);
    }
    expect(await bus.state.get("jobs.a")).toBeUndefined();
    expect(await bus.state.create("jobs.a", "1")).toBe(1);
    expect(await bus.nodes.entries("nodes.")).toEqual([]);
    await bus.jobs.publish("a", "job a");
    expect((await bus.jobs.take(new AbortController().signal))?.body).toBe("job a");
    await expect.poll(() => seen, patience).toContain("jobs.a");
  });

  skipped("a taker that waits notices by itself that the queue is gone", async ({ expect }) => {
    await using server = await startNatsServer({ binary });
    await using bus = await open(server);
    await using admin = await openAdmin(server);
    const ending = new AbortController();
    const taken = bus.jobs.take(ending.signal);
    await admin.remove("amalgam-jobs");
    await expect.poll(() => admin.has("amalgam-jobs"), patience).toBe(true);
    ending.abort();
    expect(await taken).toBeUndefined();
  });

  skipped("with an old copy of its data the server's word counts, and everybody goes on", async ({ expect }) => {
    await using server = await startNatsServer({ binary });
    await using bus = await open(server, { ackWaitMs: 1_000 });
    await bus.state.put("jobs.a", "old");
    await bus.jobs.publish("a", "job a");
    await server.stop();
    const copy = `${server.directory}-copy`;
    await cp(server.directory, copy, { recursive: true });
    await server.restart();

    const values: (string | undefined)[] = [];
    await using _ = await bus.state.watch("jobs.", ({ value }) => values.push(value));
    await eventually(() => bus.state.put("jobs.a", "new"));
    const first = await bus.jobs.take(new AbortController().signal);
    expect(await first?.done()).toBe(true);

    await server.stop();
    await server.wipe();
    await cp(copy, server.directory, { recursive: true });
    await server.restart();

    await expect.poll(() => values.at(-1), patience).toBe("old");
    const again = await bus.jobs.take(new AbortController().signal);
    expect(again?.body).toBe("job a");
    expect(await again?.done()).toBe(true);
    await eventually(() => bus.state.put("jobs.a", "newest"));
    await expect.poll(() => values.at(-1), patience).toBe("newest");
  });

  skipped("a taker from before a wipe does not acknowledge the job that has its place now", async ({ expect }) => {
    await using server = await startNatsServer({ binary });
    await using bus = await open(server, { ackWaitMs: 1_000 });
    await bus.jobs.publish("a", "job a");
    const old = await bus.jobs.take(new AbortController().signal);
    await server.kill();
    await server.wipe();
    await server.restart();
    await eventually(() => bus.jobs.publish("b", "job b"));
    const other = await bus.jobs.take(new AbortController().signal);
    expect(other?.body).toBe("job b");
    await old?.done();
    // Still somebody's: when its taker falls silent it comes again.
    const again = await bus.jobs.take(AbortSignal.timeout(10_000));
    expect([again?.body, again?.isRepeated]).toEqual(["job b", true]);
  });

  skipped("a taker from before a wipe does not speak for the job that has its place now", async ({ expect }) => {
    await using server = await startNatsServer({ binary });
    await using bus = await open(server, { ackWaitMs: 1_000 });
    await bus.jobs.publish("a", "job a");
    const old = await bus.jobs.take(new AbortController().signal);
    await server.kill();
    await server.wipe();
    await server.restart();
    await eventually(() => bus.jobs.publish("b", "job b"));
    const other = await bus.jobs.take(new AbortController().signal);
    expect(other?.body).toBe("job b");
    const beat = setInterval(() => old?.working(), 200);
    const again = await bus.jobs.take(AbortSignal.timeout(10_000));
    clearInterval(beat);
    expect([again?.body, again?.isRepeated]).toEqual(["job b", true]);
    // The one that has it now does speak for it, for longer than a silent one would have it.
    const saying = setInterval(() => again?.working(), 200);
    expect(await bus.jobs.take(AbortSignal.timeout(4_000))).toBeUndefined();
    clearInterval(saying);
    old?.later(0);
    again?.later(0);
    expect((await bus.jobs.take(AbortSignal.timeout(10_000)))?.body).toBe("job b");
  });

  skipped("what a taker says last is said before the bus closes", async ({ expect }) => {
    await using server = await startNatsServer({ binary });
    await using other = await open(server, { ackWaitMs: 60_000 });
    const bus = await open(server, { ackWaitMs: 60_000 });
    await bus.jobs.publish("a", "job a");
    const delivery = await bus.jobs.take(new AbortController().signal);
    delivery?.working();
    delivery?.later(0);
    await bus[Symbol.asyncDispose]();
    expect((await other.jobs.take(AbortSignal.timeout(10_000)))?.body).toBe("job a");
  });

  skipped("followers of an old copy that has grown since hear all of it", async ({ expect }) => {
    await using server = await startNatsServer({ binary });
    await using bus = await open(server);
    const append = async (body: string, count: number): Promise<void> => {
      bus.events.append("a", body);
      await expect.poll(async () => (await told(bus)).length, patience).toBe(count);
    };
    await append("1", 1);
    await server.stop();
    const copy = `${server.directory}-copy`;
    await cp(server.directory, copy, { recursive: true });
    await server.restart();
    await expect.poll(() => bus.isConnected, patience).toBe(true);

    const ending = new AbortController();
    const followed: string[] = [];
    await using link = await startProxy({});
    link.leadTo(server.port);
    await using far = await openBus({ url: `nats://${link.address}`, name: "far" });
    const following = follow(far, ending.signal, ({ body }) => followed.push(body));
    await append("2", 2);
    await expect.poll(() => followed, patience).toEqual(["1", "2"]);
    const nowhere = 1;
    link.leadTo(nowhere);
    await server.stop();
    await server.wipe();
    await cp(copy, server.directory, { recursive: true });
    await server.restart();
    await expect.poll(() => bus.isConnected, patience).toBe(true);
    await append("3", 2);
    await append("4", 3);
    link.leadTo(server.port);
    await expect.poll(() => followed, patience).toEqual(["1", "2", "1", "3", "4"]);
    ending.abort();
    await following;
  });

  skipped("a watch that cannot begin fails, and says why", async ({ expect }) => {
    const denied = '["$JS.API.CONSUMER.CREATE.KV_amalgam-state", "$JS.API.CONSUMER.CREATE.KV_amalgam-state.>"]';
    const user = `{ user: u, password: p, permissions: { publish: { deny: ${denied} } } }`;
    await using server = await startNatsServer({ binary, config: `authorization { users: [ ${user} ] }` });
    await using bus = await openBus({ url: `nats://u:p@127.0.0.1:${server.port}`, name: "test", timeoutMs: 500 });
    await expect(bus.state.watch("orders.", () => {})).rejects.toMatchObject({
      code: "bus_failed",
      message: expect.stringContaining('its permissions do not let user "u" (client) publish to'),
    });
  });

  skipped("many requests may wait for the server without a warning", async ({ expect }) => {
    await using server = await startNatsServer({ binary });
    await using bus = await open(server, { timeoutMs: 15_000 });
    await server.kill();
    await expect.poll(() => bus.isConnected, patience).toBe(false);
    const warnings: string[] = [];
    const onWarning = ({ message }: Error): void => void warnings.push(message);
    process.on("warning", onWarning);
    const asked = Array.from({ length: 30 }, (_, i) => bus.state.get(`jobs.${i}`));
    await server.restart();
    await Promise.all(asked);
    process.off("warning", onWarning);
    expect(warnings).toEqual([]);
  });

  skipped("a frozen server is found out, and used again when it thaws", async ({ expect }) => {
    await using server = await startNatsServer({ binary });
    await using bus = await open(server, { timeoutMs: 500 });
    const seen: string[] = [];
    await using _ = await bus.state.watch("jobs.", ({ key }) => seen.push(key));
    server.freeze();
    await expect(bus.state.put("jobs.a", "1")).rejects.toMatchObject({ code: "bus_failed" });
    await expect.poll(() => bus.isConnected, patience).toBe(false);
    server.thaw();
    await eventually(() => bus.state.put("jobs.b", "1"));
    await expect.poll(() => seen, patience).toContain("jobs.b");
  });

  skipped("the bus closes at once while its server is away", async ({ expect }) => {
    await using server = await startNatsServer({ binary });
    const bus = await open(server);
    const taken = bus.jobs.take(new AbortController().signal);
    const watch = await bus.state.watch("", () => {});
    await server.kill();
    await bus[Symbol.asyncDispose]();
    expect(await taken).toBeUndefined();
    await watch[Symbol.asyncDispose]();
    await expect(bus.state.get("a")).rejects.toMatchObject({ code: "bus_failed" });
  });
});

async function follow(bus: Bus, signal: AbortSignal, onEntry: (entry: FeedEntry) => void): Promise<void> {
  for await (const entry of bus.events.read({ follow: true, signal })) onEntry(entry);
}

async function told(bus: Bus): Promise<readonly string[]> {
  const bodies: string[] = [];
  try {
    for await (const { body } of bus.events.read({})) bodies.push(body);
  } catch {
    return [];
  }
  return bodies;
}

/** Somebody with the `nats` tool. */
async function openAdmin(server: NatsServer) {
  const { connect } = await import("nats");
  const connection = await connect({ servers: server.url });
  const manager = await connection.jetstreamManager();
  return {
    remove: (stream: string) => manager.streams.delete(stream),
    has: (stream: string) =>
      manager.streams.info(stream).then(
        () => true,
        () => false,
      ),
    [Symbol.asyncDispose]: () => connection.close(),
  };
}
