import { expect, test } from "vitest";
import { openBus } from "../../../shared/bus/nats/open.js";
import { sleep, systemClock } from "../../../shared/clock.js";
import { startNatsServer, whyNoNats } from "../../support/nats-server.js";

// Alone in its file, since it counts the sockets of the whole process.

const reason = whyNoNats();
const named = "a server that is frozen for long costs no sockets, and keeps no process from ending";

test.skipIf(reason !== undefined)(reason === undefined ? named : `${named} (${reason})`, async () => {
  const sockets = (): number => process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap").length;
  await using server = await startNatsServer();
  const before = sockets();
  const bus = await openBus({ url: server.url, name: "frozen", timeoutMs: 500 });
  const lost = new Promise<void>((resolve) => {
    bus.onConnection((isConnected) => {
      if (!isConnected) resolve();
    });
  });
  server.freeze();
  await lost;
  // Several dials, each answered by the kernel and by nobody else.
  await sleep(systemClock, 4_000);
  expect(sockets() - before).toBeLessThanOrEqual(2);
  await bus[Symbol.asyncDispose]();
  await expect.poll(sockets, { timeout: 10_000 }).toBe(before);
});
