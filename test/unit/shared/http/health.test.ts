import { expect, test } from "vitest";
import { healthRoutes, LoopLag, type ReadyCheck } from "../../../../shared/http/health.js";

const asked = { url: new URL("http://127.0.0.1/"), headers: {}, isAuthenticated: false } as const;

async function ask(path: string, worstMs: number, checks: readonly ReadyCheck[] = []) {
  const route = healthRoutes({ worstMs }, checks).find((candidate) => candidate.path === path);
  const { signal } = new AbortController();
  const answer = await route?.answer({ ...asked, signal, body: async () => Buffer.alloc(0) });
  return { status: answer?.status, body: JSON.parse(String(answer?.body)) as unknown };
}

test("a process is alive while its loop turns", async () => {
  expect(await ask("/healthz", 12)).toEqual({ status: 200, body: { status: "ok", loopLagMs: 12 } });
  expect(await ask("/healthz", 6_000)).toMatchObject({ status: 503, body: { status: "failing", loopLagMs: 6_000 } });
});

test("it is ready when nothing speaks against it, and otherwise says all that does", async () => {
  const checks: readonly ReadyCheck[] = [
    { name: "well", problem: () => undefined },
    { name: "nats", problem: () => "it is not reached" },
    { name: "disk", problem: () => Promise.reject(new Error("with a secret")) },
  ];
  expect(await ask("/readyz", 0, checks.slice(0, 1))).toEqual({ status: 200, body: { status: "ready", reasons: [] } });
  const reasons = [
    { check: "nats", problem: "it is not reached" },
    { check: "disk", problem: "it could not be looked at" },
  ];
  expect(await ask("/readyz", 0, checks)).toEqual({ status: 503, body: { status: "not ready", reasons } });
});

test("a check that hangs is one that has not passed", async () => {
  const checks = [{ name: "storage", problem: () => new Promise<undefined>(() => undefined) }];
  expect(await ask("/readyz", 0, checks)).toMatchObject({ status: 503, body: { reasons: [{ check: "storage" }] } });
});

test("a loop that was held up remembers it", () => {
  using lag = new LoopLag();
  const until = performance.now() + 800;
  while (performance.now() < until);
  expect(lag.worstMs).toBeGreaterThanOrEqual(250);
});
