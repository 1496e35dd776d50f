import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { connectAgents } from "../../../coordinator/dispatch/agents.js";
import { type DispatchEvent, dispatch } from "../../../coordinator/dispatch/dispatcher.js";
import { type LocalAgentsOptions, startLocalAgents } from "../../../coordinator/dispatch/local-agents.js";
import {
  collect,
  expectedOutput,
  fakeAgentEntry,
  fakePlan,
  memorySink,
  runner,
  streamed,
  temporaryFolder,
  unitPerTensor,
} from "../../support/dispatch.js";

const plan = fakePlan(Array.from({ length: 12 }, (_, i) => ({ name: `layer.${i}`, elements: 10_000 })));
const units = unitPerTensor(plan);
const agentMain = new URL("../../../node-agent/main.js", import.meta.url);

async function startLocal(options: Pick<LocalAgentsOptions, "mode"> & Partial<LocalAgentsOptions>) {
  const folder = await temporaryFolder();
  const defaults = { count: 2, entry: fakeAgentEntry, roots: [folder.path], slotsEach: 1, memoryBytesEach: 1 << 26 };
  const local = await startLocalAgents({ ...defaults, ...options });
  const agents = await connectAgents(local.addresses, { reconnectMs: 1_000 });
  return {
    local,
    agents,
    folder,
    async [Symbol.asyncDispose]() {
      for (const one of [agents, local, folder]) await one[Symbol.asyncDispose]();
    },
  };
}

/** Whether a process with this id exists. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

for (const mode of ["thread", "process"] as const) {
  test(`agents in ${mode} mode run units and end with the scope`, async () => {
    let pids: readonly number[];
    {
      await using started = await startLocal({ mode });
      pids = started.local.pids;
      expect(started.agents.list.map(({ name, slots }) => [name, slots])).toEqual([
        ["local-1", 1],
        ["local-2", 1],
      ]);
      const sink = memorySink(plan);
      await collect(dispatch(units, { agents: started.agents, run: runner(plan, streamed, { sink }) }));
      expect(Buffer.compare(sink.bytes, expectedOutput(plan))).toBe(0);
    }
    expect(pids).toHaveLength(mode === "process" ? 2 : 0);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  test(`an agent in ${mode} mode that cannot start says why`, async () => {
    await expect(startLocal({ mode, roots: ["/nowhere/at/all"] })).rejects.toMatchObject({
      code: "usage",
      message: expect.stringContaining('Cannot use "/nowhere/at/all" as a root'),
    });
  });
}

test("the agent's own module can be started as a thread and as a process", async () => {
  for (const mode of ["thread", "process"] as const) {
    await using started = await startLocal({ mode, count: 1, entry: agentMain });
    expect(started.agents.list.map(({ state }) => state)).toEqual(["ready"]);
  }
});

test("when an agent is killed in the middle of a unit, the other one does the work", async () => {
  await using started = await startLocal({ mode: "process" });
  await started.folder.script({ sleepMs: 100 });
  const sink = memorySink(plan);
  const events: DispatchEvent[] = [];
  const onEvent = (event: DispatchEvent): void => {
    events.push(event);
    if (events.length === 2) process.kill(started.local.pids[0] ?? 0, "SIGKILL");
  };
  const run = runner(plan, streamed, { sink });
  const results = await collect(dispatch(units, { agents: started.agents, run, onEvent, retry: { firstDelayMs: 10 } }));
  expect(results).toHaveLength(units.length);
  expect(Buffer.compare(sink.bytes, expectedOutput(plan))).toBe(0);
  expect(events).toContainEqual(
    expect.objectContaining({ type: "failed", error: expect.objectContaining({ code: "agent_lost" }) }),
  );
  expect(results.filter(({ epoch }) => epoch === 2).map(({ agent }) => agent)).toEqual(["local-2"]);
});

test("an agent whose process has ended is not asked whether it is back", async () => {
  await using started = await startLocal({ mode: "process", count: 1 });
  const { local, agents, folder } = started;
  await folder.script({ fault: "hang" });
  local.onExit((address, reason) => agents.remove(address, reason));
  const onEvent = ({ type }: DispatchEvent): void => {
    if (type === "started") process.kill(local.pids[0] ?? 0, "SIGKILL");
  };
  const run = runner(plan, streamed, { sink: memorySink(plan) });
  await expect(collect(dispatch(units, { agents, run, onEvent }))).rejects.toMatchObject({
    code: "agent_lost",
    message: expect.stringContaining('Agent "local-1" has ended: its process ended with SIGKILL'),
  });
});

test("a frozen agent is found by keepalive, and the other one does the work", async () => {
  await using started = await startLocal({ mode: "process" });
  await started.folder.script({ sleepMs: 50 });
  const [pid = 0] = started.local.pids;
  const sink = memorySink(plan);
  const events: DispatchEvent[] = [];
  const onEvent = (event: DispatchEvent): void => {
    events.push(event);
    if (events.length === 2) process.kill(pid, "SIGSTOP");
  };
  try {
    // The stall deadline is a minute: what ends the attempt is the connection.
    const run = runner(plan, streamed, { sink });
    const retry = { firstDelayMs: 10, stragglerMs: 1e9 };
    const results = await collect(dispatch(units, { agents: started.agents, run, onEvent, retry }));
    expect(results).toHaveLength(units.length);
    expect(Buffer.compare(sink.bytes, expectedOutput(plan))).toBe(0);
    expect(events).toContainEqual(
      expect.objectContaining({ type: "failed", error: expect.objectContaining({ code: "agent_lost" }) }),
    );
  } finally {
    process.kill(pid, "SIGCONT");
  }
});

test("an idle agent takes over from one that is stuck", async () => {
  await using started = await startLocal({ mode: "process" });
  const [pid = 0] = started.local.pids;
  const sink = memorySink(plan);
  const events: DispatchEvent[] = [];
  const onEvent = (event: DispatchEvent): void => {
    events.push(event);
    if (events.length === 2) process.kill(pid, "SIGSTOP");
  };
  try {
    const run = runner(plan, streamed, { sink });
    const retry = { stragglerMs: 200, stragglerFactor: 1 };
    const results = await collect(dispatch(units, { agents: started.agents, run, onEvent, retry }));
    expect(results.every(({ agent }) => agent === "local-2")).toBe(true);
    expect(events).toContainEqual(expect.objectContaining({ type: "superseded", epoch: 1 }));
  } finally {
    process.kill(pid, "SIGCONT");
  }
});

test("a process that does nothing but wait for an agent does not end meanwhile", async () => {
  const module = new URL("../../../coordinator/dispatch/agents.js", import.meta.url);
  const script = `import { connectAgents } from ${JSON.stringify(module.href)};
    await connectAgents(["127.0.0.1:1"], { reconnectMs: 300 }).catch(({ code }) => console.log(code));`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(child.stdout, "data");
  expect(String(line)).toBe("agent_lost\n");
});

test.each([
  ["serve", "(await startLocalAgents(options)).pids"],
  ["still load", "new EarlyAgents(options, options.count).take().map(({ pid }) => pid)"],
])("agents that %s do not outlive a parent that is killed", async (_, pids) => {
  await using folder = await temporaryFolder();
  const modules = new URL("../../../coordinator/dispatch/", import.meta.url).href;
  const script = join(folder.path, "parent.mjs");
  const options = {
    count: 2,
    mode: "process",
    roots: [folder.path],
    slotsEach: 1,
    memoryBytesEach: 1 << 26,
  };
  await writeFile(
    script,
    `import { EarlyAgents } from "${modules}embedded-agents.js";
     import { startLocalAgents } from "${modules}local-agents.js";
     const options = { ...${JSON.stringify(options)}, entry: new URL(${JSON.stringify(fakeAgentEntry.href)}) };
     console.log(JSON.stringify(${pids}));
     setInterval(() => undefined, 1_000);`,
  );
  const parent = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(parent.stdout, "data");
  const started = JSON.parse(String(line)) as number[];
  expect(started.filter(isAlive)).toHaveLength(2);
  parent.kill("SIGKILL");
  await expect.poll(() => started.filter(isAlive), { timeout: 10_000 }).toEqual([]);
});
