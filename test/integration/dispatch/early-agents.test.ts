import { expect, test, vi } from "vitest";
import { connectAgents } from "../../../coordinator/dispatch/agents.js";
import { EarlyAgents } from "../../../coordinator/dispatch/embedded-agents.js";
import { startLocalAgents } from "../../../coordinator/dispatch/local-agents.js";
import { fakeAgentEntry as entry, temporaryFolder } from "../../support/dispatch.js";

const settings = { slotsEach: 1, memoryBytesEach: 1 << 26 };

test.each(["thread", "process"] as const)(
  "an agent that was started early in %s mode serves what is asked for later",
  async (mode) => {
    await using folder = await temporaryFolder();
    await using early = new EarlyAgents({ count: 1, mode, entry }, 1);
    const wanted = { count: 1, mode, entry, early, roots: [folder.path], ...settings };
    await using local = await startLocalAgents(wanted);
    await using agents = await connectAgents(local.addresses, { reconnectMs: 1_000 });
    expect(agents.list.map(({ name, slots }) => [name, slots])).toEqual([["local-1", 1]]);
    expect(early.take(), "It is taken once").toEqual([]);
    await early[Symbol.asyncDispose]();
    expect(agents.list[0]?.state, "Disposing ends none that were taken").toBe("ready");
  },
);

test("agents that nobody took are ended, whether or not they have loaded", async () => {
  for (const mode of ["thread", "process"] as const) {
    const early = new EarlyAgents({ count: 1, mode, entry }, 1);
    // Resolves when they are gone.
    await early[Symbol.asyncDispose]();
    expect(early.take()).toEqual([]);
  }
});

test("one that is told to end before it was told to serve does so", async () => {
  const [agent] = new EarlyAgents({ count: 1, mode: "thread", entry }, 1).take();
  agent?.send({ type: "close" });
  expect(await agent?.ended).toBe("its thread ended with code 0");
});

test("one that cannot load is a failure of the start that wants it", async () => {
  await using folder = await temporaryFolder();
  const missing = new URL("./no-such-module.js", import.meta.url);
  const embedding = { count: 1, mode: "thread", entry: missing } as const;
  await using early = new EarlyAgents(embedding, 1);
  const starting = startLocalAgents({ ...embedding, early, roots: [folder.path], ...settings });
  await expect(starting).rejects.toThrow(/^Cannot start agent "local-1": .*no-such-module/);
});

test("no more are started early than there are cores with nothing else to do, the others when they are needed", async () => {
  await using folder = await temporaryFolder();
  const embedding = { count: 2, mode: "thread", entry } as const;
  expect(new EarlyAgents(embedding, 0).take()).toEqual([]);
  await using early = new EarlyAgents(embedding, 1);
  const taken = vi.spyOn(early, "take");
  await using local = await startLocalAgents({ ...embedding, early, roots: [folder.path], ...settings });
  expect(taken.mock.results[0]?.value).toHaveLength(1);
  await using agents = await connectAgents(local.addresses, { reconnectMs: 1_000 });
  expect(agents.list.map(({ name }) => name)).toEqual(["local-1", "local-2"]);
});

test.each(["thread", "process"] as const)("a %s that the system refuses leaves no other agent behind", async (mode) => {
  await using folder = await temporaryFolder();
  await using early = new EarlyAgents({ count: 1, mode, entry }, 1);
  const taken = vi.spyOn(early, "take");
  // Refused on the spot, as one is that would be above a limit.
  const refused = new URL("http://localhost/no-file.js");
  const wanted = { count: 2, mode, entry: refused, early, roots: [folder.path], ...settings };
  const problem = new RegExp(`^Cannot start agent "local-2": the system gives it no ${mode} \\(.*URL`);
  await expect(startLocalAgents(wanted)).rejects.toThrow(problem);
  const [first] = taken.mock.results[0]?.value ?? [];
  expect(await first.ended).toMatch(/ended with/);
});
