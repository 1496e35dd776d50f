import { expect, test } from "vitest";
import { completeSettings, parseAgentArguments } from "../../../../node-agent/settings.js";

test.each([
  [["--trial-memory", "2GiB", "--trial-folder", "/mnt/memory"], 2 * 1024 ** 3, "/mnt/memory"],
  [["--trial-memory", "0"], 0, undefined],
  [[], undefined, undefined],
])("what trials may hold, and where: %j", (words, bytes, folder) => {
  const agent = parseAgentArguments(["--root", "/a", ...words])?.agent;
  const settings = completeSettings(agent ?? { roots: [] });
  expect([settings.trialMemoryBytes, settings.trialFolder]).toEqual([bytes, folder]);
});

test("agents share a machine, and alone when nothing is said", () => {
  const told = parseAgentArguments(["--root", "/a", "--agents-here", "3"])?.agent;
  expect(completeSettings(told ?? { roots: [] }).agentsHere).toBe(3);
  expect(completeSettings({ roots: ["/a"] }).agentsHere).toBe(1);
  expect(() => completeSettings({ roots: ["/a"], agentsHere: 0 })).toThrow("a number of agents of 0");
});

test("a size that is none is refused by name", () => {
  expect(() => parseAgentArguments(["--root", "/a", "--trial-memory", "half"])).toThrow(
    'Cannot use "half" for "--trial-memory": it is not a size',
  );
});
