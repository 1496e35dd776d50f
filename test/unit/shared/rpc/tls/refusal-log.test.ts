import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RefusalLog } from "../../../../../shared/rpc/tls/refusal-log.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("the first of a kind is told at once, the others together", () => {
  const told: string[] = [];
  const log = new RefusalLog(({ message }) => told.push(message));
  const refusal = { name: "eve", method: "/a/Merge", reason: "it may not" };
  for (let port = 1; port <= 1_000; port++) log.add({ address: `10.0.0.1:${port}`, ...refusal });
  log.add({ address: "10.0.0.2:1", reason: "it shows no certificate" });
  expect(told).toEqual([
    'Refused a call of "/a/Merge" by "eve" at 10.0.0.1:1: it may not',
    "Refused a connection of 10.0.0.2:1: it shows no certificate",
  ]);
  vi.advanceTimersByTime(10_000);
  expect(told.slice(2)).toEqual(['Refused a call of "/a/Merge" by "eve" at 10.0.0.1: it may not (999 more in 10 s)']);
});

test("a flood of different ones is a number", () => {
  const told: string[] = [];
  const log = new RefusalLog(({ message }) => told.push(message));
  for (let host = 0; host < 10_000; host++) log.add({ address: `10.0.${host >> 8}.${host & 255}:1`, reason: "no" });
  vi.advanceTimersByTime(10_000);
  expect(told).toHaveLength(21);
  expect(told.at(-1)).toBe("Refused 9980 more connections and calls, of many kinds");
});

test("a flood that does not end is told of all the same, and hides nobody for longer than a window", () => {
  const told: string[] = [];
  const log = new RefusalLog(({ message }) => told.push(message));
  for (let tick = 0; tick < 300; tick++) {
    for (let host = 0; host < 5; host++) log.add({ address: `10.${tick}.0.${host}:1`, reason: "no" });
    vi.advanceTimersByTime(100);
  }
  expect(told.filter((line) => /more connections/.test(line))).toEqual(
    Array(3).fill("Refused 480 more connections and calls, of many kinds"),
  );
  log.add({ address: "10.0.0.9:1", name: "eve", method: "/".repeat(10_000), reason: "no" });
  expect(told.at(-1)).toContain('by "eve"');
  expect(told.at(-1)?.length).toBeLessThan(300);
});
