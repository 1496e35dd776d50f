import { expect, test } from "vitest";
import { openBus } from "../../../shared/bus/nats/open.js";
import { startNatsServer, whyNoNats } from "../../support/nats-server.js";

const reason = whyNoNats();

test.skipIf(reason !== undefined)(
  `a reader may begin with the latest events${reason === undefined ? "" : ` (${reason})`}`,
  async () => {
    await using server = await startNatsServer();
    await using bus = await openBus({ url: server.url, security: { kind: "loopback" }, name: "reader" });
    for (let i = 1; i <= 20; i += 1) bus.events.append(i % 2 === 0 ? "even" : "odd", String(i));
    const read = async (options: Parameters<typeof bus.events.read>[0]): Promise<readonly string[]> => {
      const bodies: string[] = [];
      for await (const { body } of bus.events.read(options)) bodies.push(body);
      return bodies;
    };
    await expect.poll(() => read({})).toHaveLength(20);
    expect(await read({ last: 3 })).toEqual(["18", "19", "20"]);
    expect(await read({ last: 3, topic: "odd" })).toEqual(["19"]);
    expect(await read({ last: 50 })).toHaveLength(20);

    // One that follows is told what comes, once, also after the engine was away.
    const over = new AbortController();
    const heard: string[] = [];
    const following = (async () => {
      for await (const { body } of bus.events.read({ last: 2, follow: true, signal: over.signal })) heard.push(body);
    })();
    await expect.poll(() => heard).toEqual(["19", "20"]);
    await server.restart();
    await expect.poll(() => bus.isConnected, { timeout: 10_000 }).toBe(true);
    bus.events.append("odd", "21");
    await expect.poll(() => heard, { timeout: 10_000 }).toEqual(["19", "20", "21"]);
    over.abort();
    await following;
  },
);
