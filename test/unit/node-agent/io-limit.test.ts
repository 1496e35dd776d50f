import { expect, test } from "vitest";
import { IoLimit, sleepBlocking } from "../../../node-agent/io-limit.js";

test("what is taken is paid for in time, also through another view of the same limit", () => {
  const limit = IoLimit.of(1000);
  const other = new IoLimit(limit.state);
  const waits = [limit.take(1000), other.take(1000), limit.take(500)];
  // A second, two, two and a half, less the little that is given ahead and the time this takes.
  expect(waits.map((ms) => Math.ceil(ms / 500))).toEqual([2, 4, 5]);
});

test("time in which nothing is taken is not saved up", async () => {
  const limit = IoLimit.of(1e6);
  await new Promise((resolve) => setTimeout(resolve, 120));
  expect(limit.take(1e6)).toBeGreaterThan(900);
});

test("little is free of waiting", () => {
  expect(IoLimit.of(1e9).take(1000)).toBe(0);
});

test("a sleep looks up while it lasts, and ends with what that throws", () => {
  let looks = 0;
  sleepBlocking(250, () => {
    looks += 1;
  });
  expect(looks).toBeGreaterThanOrEqual(2);
  const enough = new Error("Enough");
  const sleep = () =>
    sleepBlocking(60_000, () => {
      throw enough;
    });
  expect(sleep).toThrow(enough);
});
