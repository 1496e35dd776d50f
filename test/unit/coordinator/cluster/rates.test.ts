import { expect, test } from "vitest";
import { RateHistory, RateNow } from "../../../../coordinator/cluster/rates.js";

test("a history keeps all its bytes while it grows coarser", () => {
  const history = new RateHistory(0);
  for (let second = 0; second < 10_000; second += 1) history.add(1_000, second * 1_000);
  history.look(10_000_000);
  expect(history.rates.length).toBeLessThanOrEqual(120);
  expect(history.rates.length).toBeGreaterThan(60);
  for (const rate of history.rates) expect(rate).toBeCloseTo(1_000, 6);
  expect(history.seconds).toBe(128);
});

test("silence is shown as none", () => {
  const history = new RateHistory(0);
  history.add(5_000, 0);
  history.look(4_500);
  expect(history.rates).toEqual([5_000, 0, 0, 0]);
});

test("what flows now is that of the last seconds", () => {
  const rate = new RateNow(0);
  rate.add(9_000);
  expect(rate.at(3_000)).toBe(3_000);
  rate.add(100);
  expect(rate.at(4_000)).toBe(3_000);
  expect(rate.at(6_000)).toBeCloseTo(33.3, 1);
  expect(rate.at(9_000)).toBe(0);
});
