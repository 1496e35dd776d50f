import { expect, test } from "vitest";
import { completeSettings, parseAgentArguments } from "../../../node-agent/settings.js";

test("parseAgentArguments() reads every option", () => {
  const words = "--root /a --root /b --port 4000 --host ::1 --slots 3 --memory 2GiB --name box".split(" ");
  expect(parseAgentArguments(words)).toEqual({
    roots: ["/a", "/b"],
    port: 4000,
    host: "::1",
    slots: 3,
    memoryBytes: 2 * 1024 ** 3,
    name: "box",
  });
});

test("parseAgentArguments() says which option is wrong", () => {
  expect(() => parseAgentArguments(["--memory", "much"])).toThrow('Cannot use "much" for "--memory"');
  expect(() => parseAgentArguments(["--slots", "-1"])).toThrow("slots");
  expect(() => parseAgentArguments(["--slots", "1.5"])).toThrow('Cannot use "1.5" for "--slots"');
  expect(() => parseAgentArguments(["--rot", "/a"])).toThrow("--rot");
  expect(parseAgentArguments(["--help"])).toBeUndefined();
});

test("completeSettings() fills in defaults and refuses an agent without a root", () => {
  expect(completeSettings({ roots: ["/a"] })).toMatchObject({ host: "127.0.0.1", port: 0, memoryBytes: 2 * 1024 ** 3 });
  expect(completeSettings({ roots: ["/a"] }).name).toContain(String(process.pid));
  expect(() => completeSettings({ roots: [] })).toThrow("without a root");
  expect(() => completeSettings({ roots: ["/a"], slots: 0 })).toThrow(
    "a number of slots of 0 is not between 1 and 1024",
  );
  expect(() => completeSettings({ roots: ["/a"], memoryBytes: 5 })).toThrow("a memory size of 5");
});
