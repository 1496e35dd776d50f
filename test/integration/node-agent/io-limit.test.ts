import { join } from "node:path";
import { expect, test } from "vitest";
import { runAgent } from "../../../node-agent/main.js";
import { temporaryFolder } from "../../support/dispatch.js";
import { planLarge } from "../../support/large-plan.js";
import { streamPlan } from "../../support/one-agent.js";

// An agent with --io-limit does the same work in more time, says that it is alive, and can be stopped.

async function start() {
  const folder = await temporaryFolder();
  const plan = await planLarge(folder.path);
  const free = await runAgent({ roots: [folder.path], slots: 1 });
  const limited = await runAgent({ roots: [folder.path], slots: 1, ioBytesPerSecond: 4 << 20 });
  return {
    plan,
    free,
    limited,
    output: join(folder.path, "out"),
    async [Symbol.asyncDispose]() {
      for (const one of [limited, free, folder]) await one[Symbol.asyncDispose]();
    },
  };
}

test("a limited agent computes the same bytes and tells of its progress meanwhile", async () => {
  await using given = await start();
  const free = await streamPlan(given.plan, given.free.address);
  const progress: number[] = [];
  const limited = await streamPlan(given.plan, given.limited.address, {
    onProgress: (bytesRead) => {
      // That it has the unit, it says before it has read anything.
      if (bytesRead > 0) progress.push(bytesRead);
    },
  });
  expect(limited.sha256).toBe(free.sha256);
  // One unit of 16 MB: only the time that it takes makes it say more than at its end.
  expect(limited.units).toBe(1);
  expect(progress.length).toBeGreaterThanOrEqual(2);
  expect(progress[0]).toBeLessThan(limited.results[0]?.bytesRead ?? 0);
}, 120_000);

test("a unit that waits for its turn at the disk is canceled at once, and the worker takes the next", async () => {
  await using given = await start();
  const controller = new AbortController();
  const first = streamPlan(given.plan, given.limited.address, {
    signal: controller.signal,
    onProgress: () => controller.abort(),
  });
  await expect(first).rejects.toMatchObject({ code: "canceled" });
  await expect.poll(() => given.limited.running, { timeout: 10_000 }).toBe(0);
});
