import { expect, test } from "vitest";
import { waitForBus } from "../../../../node-agent/membership/wait-for-bus.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { VirtualClock } from "../../../simulation/virtual-clock.js";

const absent = new AmalgamError("bus_failed", "Cannot connect to NATS");

function waiting(attempt: () => Promise<string>, waitMs: number) {
  const clock = new VirtualClock();
  const giveUp = new AbortController();
  const notices: number[] = [];
  const onWaiting = (): void => void notices.push(Math.round(clock.now() / 1000));
  const outcome = waitForBus(attempt, { clock, waitMs, signal: giveUp.signal, onWaiting });
  outcome.catch(() => undefined);
  return { clock, giveUp, notices, outcome };
}

test("waitForBus() goes on until the bus is there, and says so every five seconds", async () => {
  let isThere = false;
  const { clock, notices, outcome } = waiting(
    () => (isThere ? Promise.resolve("bus") : Promise.reject(absent)),
    30_000,
  );
  await clock.advance(12_000);
  expect(notices).toEqual([0, 5, 10]);
  isThere = true;
  await clock.advance(1_000);
  expect(await outcome).toBe("bus");
});

test("waitForBus() gives up in time", async () => {
  const { clock, notices, outcome } = waiting(() => Promise.reject(absent), 12_000);
  await clock.advance(13_000);
  await expect(outcome).rejects.toMatchObject({
    code: "bus_failed",
    message: "Cannot join the cluster: Cannot connect to NATS (waited for 12 s)",
  });
  expect(notices).toEqual([0, 5, 10]);
});

test("waitForBus() does not wait for what time will not change", async () => {
  const refused = new AmalgamError("usage", "The name is taken");
  const { clock, outcome } = waiting(() => Promise.reject(refused), 30_000);
  await clock.advance(0);
  await expect(outcome).rejects.toBe(refused);
});

test("waitForBus() can be told to stop", async () => {
  const { clock, giveUp, outcome } = waiting(() => Promise.reject(absent), 30_000);
  await clock.advance(1_000);
  giveUp.abort(new Error("enough"));
  await clock.advance(0);
  await expect(outcome).rejects.toThrow("enough");
});
