import { totalmem } from "node:os";
import { expect, test } from "vitest";
import { cachedBytes, freeMemory } from "../../../../../node-agent/evaluate/process/free-memory.js";

test.each([
  ["version 2", "anon 5\nfile 70\nkernel 3\ninactive_file 20\nactive_file 30\nslab 1\n", 50],
  ["version 1", "cache 9\ninactive_file 2\nactive_file 3\ntotal_inactive_file 20\ntotal_active_file 30\n", 5],
  ["none", "", 0],
])("the files that a control group of %s has cached are counted", (_, statistics, bytes) => {
  expect(cachedBytes(statistics)).toBe(bytes);
});

test("there is free memory, and no more than there is", () => {
  expect(freeMemory()).toBeGreaterThan(0);
  expect(freeMemory()).toBeLessThanOrEqual(totalmem());
});
