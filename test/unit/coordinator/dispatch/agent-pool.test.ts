import { expect, test } from "vitest";
import { AgentPool } from "../../../../coordinator/dispatch/agent-pool.js";

const free = (pool: AgentPool): string[] => [...pool.free()].map(({ address }) => address);

test("the agents with the smallest part of their slots in use come first", () => {
  const pool = new AgentPool();
  pool.set("two", 2, true);
  pool.set("four", 4, true);
  pool.set("full", 1, true);
  pool.set("away", 8, false);
  for (const address of ["two", "four", "full"]) pool.count(address, 1);
  expect(free(pool)).toEqual(["four", "two"]);
  expect(pool.freeSlots).toBe(4);
});

test("the free slots are those of agents that take work, through every change", () => {
  const pool = new AgentPool();
  pool.set("a", 2, true);
  pool.count("a", 1);
  pool.set("a", 1, true);
  expect([pool.freeSlots, free(pool)]).toEqual([0, []]);
  pool.set("a", 3, true);
  expect(pool.freeSlots).toBe(2);
  pool.set("a", 3, false);
  expect(pool.freeSlots).toBe(0);
  pool.count("a", -1);
  pool.set("a", 3, true);
  expect(pool.freeSlots).toBe(3);
  pool.remove("a");
  expect([pool.freeSlots, [...pool.all()]]).toEqual([0, []]);
});

test("an agent rests until some agent changes", () => {
  const pool = new AgentPool();
  pool.set("a", 1, true);
  pool.rest("a");
  expect(pool.get("a")?.isResting).toBe(true);
  pool.set("b", 1, false);
  expect(pool.get("a")?.isResting).toBe(false);
});
