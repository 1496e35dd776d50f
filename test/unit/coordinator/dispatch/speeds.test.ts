import { expect, test } from "vitest";
import { Speeds } from "../../../../coordinator/dispatch/speeds.js";

test("an agent's speed follows its recent attempts, whatever their size among their like", () => {
  const speeds = new Speeds();
  speeds.record("a", 100, 1_000);
  expect(speeds.costOf("a")).toBe(10);
  speeds.record("a", 10, 200);
  expect(speeds.costOf("a")).toBeCloseTo(13);
  for (let i = 0; i < 50; i += 1) speeds.record("a", 7, 140);
  expect(speeds.costOf("a")).toBeCloseTo(20, 3);
});

test("trifles, which cost a call and a file whatever their size, say nothing of an agent's speed", () => {
  const speeds = new Speeds();
  speeds.record("a", 1, 20);
  expect(speeds.costOf("a")).toBe(20);
  speeds.record("b", 1_000, 1_000);
  expect([speeds.costOf("a"), speeds.costOf("b")]).toEqual([undefined, 1]);
  speeds.record("b", 1, 20);
  expect(speeds.costOf("b")).toBe(1);
});

test.each([
  [[], undefined, undefined],
  [[5], 5, 5],
  [[9, 1], 1, 1],
  [[9, 1, 4], 4, 1],
])("the median of %j is %j, the least %j", (costs, median, least) => {
  const speeds = new Speeds();
  for (const [i, cost] of costs.entries()) speeds.record(`agent-${i}`, 1, cost);
  expect([speeds.median, speeds.least]).toEqual([median, least]);
});

test("an agent that is forgotten counts no more, and work without bytes never did", () => {
  const speeds = new Speeds();
  speeds.record("a", 1, 1);
  speeds.record("b", 1, 3);
  speeds.record("c", 0, 100);
  speeds.forget("a");
  expect([speeds.median, speeds.costOf("a"), speeds.costOf("c")]).toEqual([3, undefined, undefined]);
});

test("with many agents the median keeps up", () => {
  const speeds = new Speeds();
  for (let i = 0; i < 1_000; i += 1) speeds.record(`agent-${i}`, 1, 1);
  expect(speeds.median).toBe(1);
  for (let i = 0; i < 1_000; i += 1) for (let n = 0; n < 40; n += 1) speeds.record(`agent-${i}`, 1, 5);
  expect(speeds.median).toBeCloseTo(5, 3);
});
