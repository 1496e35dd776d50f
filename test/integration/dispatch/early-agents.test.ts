import { expect, test } from "vitest";
import { connectAgents } from "../../../coordinator/dispatch/agents.js";
import { EarlyAgents } from "../../../coordinator/dispatch/embedded-agents.js";
import { startLocalAgents } from "../../../coordinator/dispatch/local-agents.js";
import { fakeAgentEntry as entry, temporaryFolder } from "../../support/dispatch.js";

const settings = { slotsEach: 1, memoryBytesEach: 1 << 26 };

test.each(["thread", "process"] as const)(
  "an agent that was started early in %s mode serves what is asked for later",
  async (mode) => {
    await using folder = await temporaryFolder();
    await using early = new EarlyAgents({ count: 1, mode, entry });
    const wanted = { count: 1, mode, entry, early, roots: [folder.path], ...settings };
    await using local = await startLocalAgents(wanted);
    await using agents = await connectAgents(local.addresses, { reconnectMs: 1_000 });
    expect(agents.list.map(({ name, slots }) => [name, slots])).toEqual([["local-1", 1]]);
    expect(early.take(), "It is taken once").toBeUndefined();
    await early[Symbol.asyncDispose]();
    expect(agents.list[0]?.state, "Disposing ends none that were taken").toBe("ready");
  },
);

test("agents that nobody took are ended, whether or not they have loaded", async () => {
  for (const mode of ["thread", "process"] as const) {
    const early = new EarlyAgents({ count: 1, mode, entry });
    // Resolves when they are gone.
    await early[Symbol.asyncDispose]();
    expect(early.take()).toBeUndefined();
  }
});

test("one that is told to end before it was told to serve does so", async () => {
  const [agent] = new EarlyAgents({ count: 1, mode: "thread", entry }).take() ?? [];
  agent?.send({ type: "close" });
  expect(await agent?.ended).toBe("its thread ended with code 0");
});

test("one that cannot load is a failure of the start that wants it", async () => {
  await using folder = await temporaryFolder();
  const missing = new URL("./no-such-module.js", import.meta.url);
  const embedding = { count: 1, mode: "thread", entry: missing } as const;
  await using early = new EarlyAgents(embedding);
  const starting = startLocalAgents({ ...embedding, early, roots: [folder.path], ...settings });
  await expect(starting).rejects.toThrow(/^Cannot start agent "local-1": .*no-such-module/);
});
