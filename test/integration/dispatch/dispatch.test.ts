import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { Agents, connectAgents } from "../../../coordinator/dispatch/agents.js";
import { type DispatchEvent, dispatch } from "../../../coordinator/dispatch/dispatcher.js";
import { AmalgamError } from "../../../shared/errors.js";
import { kernelsVersion, packageVersion, protocolVersion } from "../../../shared/rpc/version.js";
import {
  collect,
  expectedOutput,
  fakePlan,
  memorySink,
  runner,
  startAgent,
  startFakeServer,
  streamed,
  temporaryFolder,
  unitPerTensor,
} from "../../support/dispatch.js";

const plan = fakePlan(Array.from({ length: 12 }, (_, i) => ({ name: `layer.${i}`, elements: 10_000 + i * 1_000 })));
const units = unitPerTensor(plan);
const tensorsOf = (unit: { pieces: readonly { tensor: number }[] }): string[] =>
  unit.pieces.map(({ tensor }) => plan.tensors[tensor]?.name ?? "");

/** Agents of this process, each with a folder and a script of its own. */
async function cluster(count: number) {
  const folders = await Promise.all(Array.from({ length: count }, temporaryFolder));
  const running = await Promise.all(
    folders.map(({ path }, i) => startAgent(path, { name: `agent-${i + 1}`, slots: 2 })),
  );
  const agents: Agents = await connectAgents(running.map(({ address }) => address));
  return {
    agents,
    running,
    folders,
    async [Symbol.asyncDispose]() {
      for (const one of [agents, ...running, ...folders]) await one[Symbol.asyncDispose]();
    },
  };
}

test("units stream through two agents and every byte arrives", async () => {
  await using given = await cluster(2);
  const sink = memorySink(plan);
  const results = await collect(dispatch(units, { agents: given.agents, run: runner(plan, streamed, { sink }) }));
  expect(results.map(({ unit }) => unit.id).sort((a, b) => a - b)).toEqual(units.map(({ id }) => id));
  expect(new Set(results.map(({ agent }) => agent))).toEqual(new Set(["agent-1", "agent-2"]));
  expect(Buffer.compare(sink.bytes, expectedOutput(plan))).toBe(0);
  expect(results.every(({ epoch, receipts }) => epoch === 1 && receipts.length === 1)).toBe(true);
});

test("agents write their units into staged files", async () => {
  await using given = await cluster(2);
  const path = join(given.folders[0]?.path ?? "", "out");
  await writeFile(path, new Uint8Array(plan.files[0]?.bytes ?? 0));
  const run = runner(plan, { kind: "write", paths: [path] });
  const results = await collect(dispatch(units, { agents: given.agents, run }));
  expect(results.reduce((bytes, { bytesWritten }) => bytes + bytesWritten, 0)).toBe((plan.files[0]?.bytes ?? 0) - 64);
  expect(Buffer.compare(await readFile(path), expectedOutput(plan))).toBe(0);
});

for (const fault of ["fail", "crash"] as const) {
  test(`units that ${fault} on one agent go to another, each attempt with the next epoch`, async () => {
    await using given = await cluster(2);
    await given.folders[0]?.script({ fault });
    const failed: number[] = [];
    const onEvent = (event: DispatchEvent): void => {
      if (event.type === "failed") failed.push(event.unit.id);
    };
    const sink = memorySink(plan);
    const run = runner(plan, streamed, { sink });
    const results = await collect(dispatch(units, { agents: given.agents, run, onEvent, retry: { firstDelayMs: 10 } }));
    expect(results).toHaveLength(units.length);
    expect(failed.length).toBeGreaterThan(0);
    expect(new Set(failed).size).toBe(failed.length);
    for (const { unit, epoch, agent } of results) {
      expect([epoch, agent]).toEqual([failed.includes(unit.id) ? 2 : 1, "agent-2"]);
    }
    expect(Buffer.compare(sink.bytes, expectedOutput(plan))).toBe(0);
  });
}

test("a unit that fails three times fails the job, which names unit, tensor, agents and reasons", async () => {
  await using given = await cluster(2);
  for (const folder of given.folders) await folder.script({ fault: "fail", unit: 4 });
  const sink = memorySink(plan);
  const run = runner(plan, streamed, { sink });
  const job = collect(dispatch(units, { agents: given.agents, run, tensorsOf, retry: { firstDelayMs: 1 } }));
  const error = await job.then(
    () => undefined,
    (reason: unknown) => AmalgamError.from(reason),
  );
  expect(error).toMatchObject({ code: "io_failed", details: { unit: "4", attempts: "3" } });
  expect(error?.message).toContain('Unit 4 ("layer.4") failed 3 times');
  for (const name of ["agent-1", "agent-2"]) expect(error?.message).toContain(`on "${name}" at 127.0.0.1:`);
  expect(error?.message).toContain('Cannot read "layer.4": on purpose');
});

test("an error that no retry can help fails the job at once and stops the rest", async () => {
  await using given = await cluster(2);
  for (const folder of given.folders) await folder.script({ fault: "fail", code: "checkpoint_changed", unit: 11 });
  const started: number[] = [];
  const sink = memorySink(plan);
  const run = runner(plan, streamed, { sink });
  const onEvent = (event: DispatchEvent): void => {
    if (event.type === "started") started.push(event.unit.id);
  };
  const job = collect(dispatch(units, { agents: given.agents, run, onEvent }));
  await expect(job).rejects.toMatchObject({
    code: "checkpoint_changed",
    message: 'Cannot read "layer.11": on purpose',
  });
  expect(started.filter((id) => id === 11)).toHaveLength(1);
});

test("an aborted signal stops every attempt before the job ends", async () => {
  await using given = await cluster(1);
  await given.folders[0]?.script({ fault: "hang" });
  const controller = new AbortController();
  let running = 0;
  const attempt = runner(plan, streamed, { sink: memorySink(plan) });
  const job = collect(
    dispatch(units, {
      agents: given.agents,
      signal: controller.signal,
      run: async (context) => {
        running += 1;
        if (running === 2) setTimeout(() => controller.abort(new AmalgamError("canceled", "Interrupted")), 30);
        try {
          return await attempt(context);
        } finally {
          running -= 1;
        }
      },
    }),
  );
  await expect(job).rejects.toMatchObject({ code: "canceled", message: "Interrupted" });
  expect(running).toBe(0);
});

test("results that were accepted before a failure are still delivered", async () => {
  await using given = await cluster(1);
  await given.folders[0]?.script({ fault: "fail", code: "checkpoint_changed", unit: 0 });
  const accepted: number[] = [];
  const delivered: number[] = [];
  const onEvent = (event: DispatchEvent): void => {
    if (event.type === "finished") accepted.push(event.unit.id);
  };
  const run = runner(plan, streamed, { sink: memorySink(plan) });
  const job = (async () => {
    for await (const { unit } of dispatch(units, { agents: given.agents, run, onEvent })) delivered.push(unit.id);
  })();
  await expect(job).rejects.toMatchObject({ code: "checkpoint_changed" });
  expect(delivered).toEqual(accepted.slice(0, delivered.length));
  expect(delivered.length).toBeGreaterThanOrEqual(accepted.length - 1);
});

test("a callback that throws fails the job", async () => {
  await using given = await cluster(1);
  const onEvent = (): void => {
    throw new TypeError("broken progress bar");
  };
  const run = runner(plan, streamed, { sink: memorySink(plan) });
  await expect(collect(dispatch(units, { agents: given.agents, run, onEvent }))).rejects.toThrow("broken progress bar");
});

test("leaving the results early stops the job", async () => {
  await using given = await cluster(1);
  let settled = 0;
  let started = 0;
  const attempt = runner(plan, streamed, { sink: memorySink(plan) });
  for await (const _ of dispatch(units, {
    agents: given.agents,
    run: (context) => {
      started += 1;
      return attempt(context).finally(() => {
        settled += 1;
      });
    },
  })) {
    break;
  }
  expect(settled).toBe(started);
  expect(started).toBeLessThan(units.length);
});

test("a draining agent gets no more work and its refusals do not count", async () => {
  await using given = await cluster(2);
  for (const folder of given.folders) await folder.script({ sleepMs: 100 });
  const sink = memorySink(plan);
  const events: DispatchEvent[] = [];
  const results = await collect(
    dispatch(units, {
      agents: given.agents,
      run: runner(plan, streamed, { sink }),
      onEvent: (event) => {
        events.push(event);
        if (events.length === 3) void given.running[0]?.close({ graceMs: 5_000 });
      },
    }),
  );
  expect(results).toHaveLength(units.length);
  expect(events).toContainEqual(expect.objectContaining({ type: "agent", state: "draining" }));
  expect(Buffer.compare(sink.bytes, expectedOutput(plan))).toBe(0);
});

test("an agent that drains and leaves before its unit reaches it has not lost it", async () => {
  await using given = await cluster(2);
  const sink = memorySink(plan);
  const failed: unknown[] = [];
  const [leaving] = given.agents.list;
  const attempt = runner(plan, streamed, { sink });
  const results = await collect(
    dispatch(units, {
      agents: given.agents,
      run: async (context) => {
        if (context.agent === leaving) {
          // As the registry tells it, and a thread that has to start first is in no hurry.
          leaving.report(new AmalgamError("agent_draining", "It is shutting down"));
          await given.running[0]?.close({ graceMs: 5_000 });
        }
        return attempt(context);
      },
      onEvent: (event) => {
        if (event.type === "failed") failed.push([event.agent.name, event.error.code, event.retryMs]);
      },
    }),
  );
  expect(new Set(results.map(({ agent }) => agent))).toEqual(new Set(["agent-2"]));
  expect(failed.length).toBeGreaterThan(0);
  expect(failed.filter((one) => String(one) !== "agent-1,agent_draining,0")).toEqual([]);
  expect(leaving?.state).toBe("lost");
  expect(Buffer.compare(sink.bytes, expectedOutput(plan))).toBe(0);
});

test("when the last agent is lost the job says that it can be resumed", async () => {
  await using given = await cluster(1);
  await given.folders[0]?.script({ fault: "hang" });
  const [agent] = given.agents.list;
  const address = agent?.address ?? "";
  const again = await connectAgents([address], { reconnectMs: 300 });
  await using _ = again;
  const run = runner(plan, streamed, { sink: memorySink(plan) });
  const onEvent = (event: DispatchEvent): void => {
    if (event.type === "started") setTimeout(() => void given.running[0]?.close(), 50);
  };
  await expect(collect(dispatch(units, { agents: again, run, onEvent }))).rejects.toMatchObject({
    code: "agent_lost",
    message: expect.stringContaining("The agent is lost with 12 units to go ("),
  });
});

test("an agent that sends nothing has stalled, and its units go elsewhere", async () => {
  await using given = await cluster(2);
  await given.folders[0]?.script({ fault: "hang" });
  const sink = memorySink(plan);
  const events: DispatchEvent[] = [];
  const results = await collect(
    dispatch(units, {
      agents: given.agents,
      run: runner(plan, streamed, { sink, stallMs: 1_000 }),
      onEvent: (event) => events.push(event),
      retry: { maxDelayMs: 10, attempts: 20, maxAttempts: 20 },
    }),
  );
  expect(new Set(results.map(({ agent }) => agent))).toEqual(new Set(["agent-2"]));
  expect(events).toContainEqual(expect.objectContaining({ error: expect.objectContaining({ code: "stalled" }) }));
  expect(Buffer.compare(sink.bytes, expectedOutput(plan))).toBe(0);
});

test("a slow disk does not make an agent a stalled one", async () => {
  await using given = await cluster(1);
  const big = fakePlan([{ name: "big", elements: 4 << 20 }]);
  const memory = memorySink(big);
  const sink = {
    write: async (file: number, offset: number, data: Uint8Array) => {
      if (offset === 64) await new Promise((resolve) => setTimeout(resolve, 3_000));
      await memory.write(file, offset, data);
    },
  };
  const run = runner(big, { kind: "stream", chunkBytes: 1 << 20 }, { sink, stallMs: 2_500 });
  const results = await collect(dispatch(unitPerTensor(big), { agents: given.agents, run }));
  expect(results).toMatchObject([{ epoch: 1 }]);
  expect(Buffer.compare(memory.bytes, expectedOutput(big))).toBe(0);
});

test("while the sink is busy an agent sends no more than a bounded number of chunks", async () => {
  const big = fakePlan([{ name: "big", elements: 64 << 20 }]);
  const data = new Uint8Array(1 << 20);
  let sent = 0;
  await using server = await startFakeServer({
    merge: async (_, send, call) => {
      for (; sent < 128 && !call.cancelled; sent += 1) {
        const value = { piece: 0, offset: BigInt(sent) << 20n, data, crc32: crc32(data) };
        if (!send({ event: { case: "chunk", value } })) await new Promise((resolve) => call.once("drain", resolve));
      }
    },
  });
  await using agents = await connectAgents([server.address]);
  let most = 0;
  let written = 0;
  const sink = {
    write: async () => {
      if (written % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 200));
      most = Math.max(most, sent - written);
      written += 1;
    },
  };
  const run = runner(big, { kind: "stream", chunkBytes: 1 << 20 }, { sink });
  await expect(collect(dispatch(unitPerTensor(big), { agents, run, retry: { attempts: 1 } }))).rejects.toThrow(
    "receipt",
  );
  expect(written).toBe(128);
  // HTTP/2's receive window, the server's queue, what is decoded ahead, and what lies in the sockets' buffers.
  expect(most).toBeLessThan(16 + 16 + 4 + 12);
});

const told = (answer: { version?: string; protocol?: number; kernels?: string }) => ({
  ...{ name: "other", version: packageVersion(), protocol: protocolVersion, kernels: kernelsVersion },
  ...{ slots: 1, memoryBytes: 1n, roots: [] },
  ...answer,
});

test.each([
  ["another protocol", { protocol: protocolVersion + 1 }, `protocol ${protocolVersion + 1}`],
  ["other kernels", { kernels: "of the future" }, 'kernels "of the future"'],
  ["neither, being old", { version: "0.0.1", protocol: 0, kernels: "" }, 'its version "0.0.1" has protocol 0'],
])("an agent that has %s is refused", async (_, answer, reason) => {
  await using server = await startFakeServer({ merge: () => undefined, describe: told(answer) });
  await expect(connectAgents([server.address])).rejects.toMatchObject({
    code: "usage",
    message: expect.stringMatching(`^Cannot use agent "other" at ${server.address}: .*${reason}`),
  });
  // In a cluster the others go on.
  await using agents = new Agents();
  expect(await agents.add(server.address)).toMatchObject({ state: "lost", lostBecause: { code: "usage" } });
});

test("an agent of another version that computes the same is used", async () => {
  await using server = await startFakeServer({ merge: () => undefined, describe: told({ version: "99.0.0" }) });
  await using agents = await connectAgents([server.address]);
  expect(agents.list[0]).toMatchObject({ state: "ready", description: { version: "99.0.0" } });
});

test.each(["nonsense", "192.0.2.1:4000"])("the address %s is refused without a connection", async (address) => {
  await using agents = new Agents();
  expect(await agents.add(address)).toMatchObject({ state: "lost", lostBecause: { code: "usage" } });
});

test("an agent is told who leads when it is connected to", async () => {
  const heard: unknown[] = [];
  await using server = await startFakeServer({
    merge: () => undefined,
    onDescribe: ({ leadership }) => heard.push([leadership?.job, leadership?.fence]),
  });
  let fence = 7n;
  await using agents = await connectAgents([server.address], { leadership: () => ({ job: "job", fence }) });
  fence = 8n;
  agents.remove(server.address, new AmalgamError("agent_lost", "started anew"));
  await agents.add(server.address);
  expect(heard).toEqual([
    ["job", 7n],
    ["job", 8n],
  ]);
});

test("an agent that has heard of a later leader ends it all", async () => {
  const onDescribe = (): void => {
    throw new AmalgamError("fenced", "Another coordinator leads the job");
  };
  await using server = await startFakeServer({ merge: () => undefined, onDescribe });
  await expect(connectAgents([server.address])).rejects.toMatchObject({ code: "fenced" });
});

test("agents join and leave while a job runs, and one comes back at the same address", async () => {
  await using given = await cluster(2);
  await given.folders[0]?.script({ fault: "hang" });
  const [first, second] = given.running.map(({ address }) => address) as [string, string];
  await using agents = new Agents();
  const sink = memorySink(plan);
  const events: DispatchEvent[] = [];
  const job = collect(
    dispatch(units, {
      agents,
      waitForAgentsMs: Infinity,
      run: runner(plan, streamed, { sink }),
      onEvent: (event) => {
        events.push(event);
        if (event.type !== "started" || events.filter(({ type }) => type === "started").length !== 2) return;
        setImmediate(() => agents.remove(first, new AmalgamError("agent_lost", "It has left the cluster")));
      },
    }),
  );
  expect(events.map(({ type }) => type)).toEqual(["waiting"]);
  const former = await agents.add(first);
  expect(await agents.add(first)).toBe(former);
  await expect.poll(() => former.state).toBe("lost");
  await given.folders[0]?.script({});
  const later = await agents.add(first);
  await agents.add(second);
  expect(agents.list.map((agent) => [agent === later, agent.state])).toEqual([
    [true, "ready"],
    [false, "ready"],
  ]);
  const results = await job;
  expect(results).toHaveLength(units.length);
  expect(Buffer.compare(sink.bytes, expectedOutput(plan))).toBe(0);
  const failed = events.flatMap((event) => (event.type === "failed" ? [event] : []));
  expect(failed.map(({ agent, retryMs, error }) => [agent === former, retryMs, error.code])).toEqual([
    [true, 0, "agent_lost"],
    [true, 0, "agent_lost"],
  ]);
});

test("connectAgents() goes on without agents that do not answer, but not without any", async () => {
  await using given = await cluster(1);
  const server = await startFakeServer({ merge: () => undefined });
  await server[Symbol.asyncDispose]();
  await using agents = await connectAgents([given.running[0]?.address ?? "", server.address], { reconnectMs: 100 });
  expect(agents.list.map(({ state }) => state)).toEqual(["ready", "lost"]);
  const none = connectAgents([server.address], { reconnectMs: 100 });
  await expect(none).rejects.toMatchObject({
    code: "agent_lost",
    message: expect.stringContaining("The agent does not answer"),
  });
});
