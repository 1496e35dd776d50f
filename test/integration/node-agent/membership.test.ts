import { statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { createRequestBuilder } from "../../../coordinator/dispatch/request.js";
import type { Bus } from "../../../shared/bus/bus.js";
import { wordOf } from "../../../shared/bus/bus.js";
import { openBus } from "../../../shared/bus/nats/open.js";
import {
  type ClusterEvent,
  clusterEvent,
  keys,
  type NodeRecord,
  nodeRecord,
  parseRecord,
} from "../../../shared/cluster/records.js";
import { AgentService, type MergeRequest, type MergeResponse } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { createClient } from "../../../shared/rpc/client.js";
import { loopback } from "../../../shared/rpc/security.js";
import { NodeProcess } from "../../support/cluster/node-process.js";
import { collect, fakePlan, streamed, temporaryFolder, unitPerTensor } from "../../support/dispatch.js";
import { type NatsServer, startNatsServer, whyNoNats } from "../../support/nats-server.js";

const reason = whyNoNats();
const binary = fileURLToPath(new URL("../../../coordinator/main.js", import.meta.url));

/** `amalgam agent` in a process of its own, one slot. */
function agentProcess(nats: string, root: string, ...words: readonly string[]): NodeProcess {
  const argv = [
    process.execPath,
    binary,
    "agent",
    "--nats",
    nats,
    "--root",
    root,
    "--slots",
    "1",
    "--name",
    "box",
    ...words,
  ];
  return new NodeProcess("box", { name: "here", address: "127.0.0.1", prefix: [] }, argv, (line) =>
    line.includes("joined the cluster"),
  );
}

/** A unit that reads 4 MB and writes two: three seconds or more at the slowest limit. */
async function slowUnit(folder: string): Promise<MergeRequest> {
  const plan = fakePlan([{ name: "a", elements: 1_000_000 }]);
  const sources = plan.sources.map((source) => ({ ...source, path: join(folder, `${source.model}.bytes`) }));
  for (const { path, bytes } of sources) await writeFile(path, Buffer.alloc(bytes));
  const onDisk = sources.map((source) => ({ ...source, modifiedMs: statSync(source.path).mtimeMs }));
  const [unit] = unitPerTensor(plan);
  if (unit === undefined) throw new Error("The plan has no unit");
  return createRequestBuilder({ ...plan, sources: onDisk }, "job")(unit, { epoch: 1, task: streamed }).message;
}
const slowly = ["--io-limit", "1MiB"];

/** The agent's record, as soon as it is as wanted. Undefined: there is none. */
async function recordOnce(
  bus: Bus,
  isWanted: (record: NodeRecord | undefined) => boolean,
): Promise<NodeRecord | undefined> {
  const key = keys.node("box");
  for (;;) {
    const record = parseRecord(nodeRecord, (await bus.nodes.get(key).catch(() => undefined))?.value);
    if (isWanted(record)) return record;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function eventsOf(bus: Bus): Promise<readonly ClusterEvent[]> {
  const entries = await collect(bus.events.read({ topic: wordOf("box") }));
  return entries.flatMap(({ body }) => parseRecord(clusterEvent, body) ?? []);
}

/** A cluster without coordinators. */
async function start(options: { readonly words?: readonly string[] } = {}) {
  const folder = await temporaryFolder();
  const server = await startNatsServer();
  const bus = await openBus({ url: server.url, security: loopback, name: "test" });
  const agent = agentProcess(server.url, folder.path, ...(options.words ?? []));
  await agent.start();
  const record = await recordOnce(bus, (found) => found !== undefined);
  if (record?.address === undefined) throw new Error("The agent does not tell its address");
  const client = createClient(AgentService, record.address);
  return {
    agent,
    bus,
    client,
    folder,
    record,
    server,
    async [Symbol.asyncDispose]() {
      client.close();
      await agent[Symbol.asyncDispose]();
      await bus[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** The unit, once the worker is at it. */
async function running(
  client: { merge: (request: MergeRequest) => AsyncIterable<MergeResponse> },
  request: MergeRequest,
) {
  const events = client.merge(request)[Symbol.asyncIterator]();
  // That it has the unit, the agent says before a worker begins.
  const isBegun = ({ event }: MergeResponse): boolean => event.case !== "progress" || event.value.bytesRead > 0n;
  for (;;) {
    const { value, done } = await events.next();
    if (done === true) throw new Error("The unit ended without a word");
    if (isBegun(value)) break;
  }
  const rest = collect({ [Symbol.asyncIterator]: () => events });
  rest.catch(() => undefined);
  // In an object, lest it be waited for.
  return { rest };
}

test.skipIf(reason)(`an agent that joins says who and where it is ${reason ?? ""}`, async () => {
  await using started = await start();
  expect(started.record).toMatchObject({ name: "box", role: "agent", state: "ready", slots: 1, running: 0 });
  expect(started.record.roots).toEqual([started.folder.path]);
  expect(started.agent.output).toContain(`Agent box listens on ${started.record.address}\n`);
  expect(started.agent.output).toContain(`Agent box joined the cluster at ${started.server.url}\n`);
  expect((await started.client.describe({})).name).toBe("box");
});

test.skipIf(reason)("on SIGTERM it tells the cluster at once, finishes its unit, and is gone", async () => {
  await using started = await start({ words: slowly });
  const { agent, bus, client } = started;
  const { rest } = await running(client, await slowUnit(started.folder.path));
  const exit = agent.ended;
  process.kill(agent.pid, "SIGTERM");
  expect(await recordOnce(bus, (record) => record?.state !== "ready")).toMatchObject({ state: "draining", running: 1 });
  await expect(collect(client.merge(await slowUnit(started.folder.path)))).rejects.toMatchObject({
    code: "agent_draining",
  });
  expect((await rest).length).toBeGreaterThan(400);
  expect(await exit).toBe(0);
  expect(await recordOnce(bus, () => true)).toBeUndefined();
  const told = await eventsOf(bus);
  expect(told.map(({ type }) => type)).toEqual(["started", "draining", "ended"]);
});

test.skipIf(reason)("a second SIGTERM ends its unit", async () => {
  await using started = await start({ words: slowly });
  const { agent, bus, client } = started;
  const { rest } = await running(client, await slowUnit(started.folder.path));
  const exit = agent.ended;
  process.kill(agent.pid, "SIGTERM");
  await recordOnce(bus, (record) => record?.state === "draining");
  process.kill(agent.pid, "SIGTERM");
  await expect(rest).rejects.toMatchObject({ code: "agent_draining" });
  expect(await exit).toBe(0);
});

test.skipIf(reason)("when its grace is over its unit ends", async () => {
  await using started = await start({ words: [...slowly, "--grace", "0.1"] });
  const { rest } = await running(started.client, await slowUnit(started.folder.path));
  const exit = started.agent.ended;
  process.kill(started.agent.pid, "SIGTERM");
  await expect(rest).rejects.toMatchObject({ code: "agent_draining" });
  expect(await exit).toBe(0);
});

test.skipIf(reason)("it drains when it is ordered to", async () => {
  await using started = await start();
  const { agent, bus, record } = started;
  const exit = agent.ended;
  const order = { order: "drain", by: "ann@host" };
  await bus.state.put(keys.order("box"), JSON.stringify({ ...order, instance: "another" }));
  await bus.state.put(keys.order("box"), JSON.stringify({ ...order, instance: record.instance }));
  expect(await exit).toBe(0);
  expect(await bus.nodes.get(keys.node("box"))).toBeUndefined();
  expect(await bus.state.get(keys.order("box"))).toBeUndefined();
  expect((await eventsOf(bus)).map(({ message }) => message)).toContain(
    'Agent "box" takes no more units, as "ann@host" ordered; 0 are running',
  );
});

test.skipIf(reason)("a second agent of the same name is refused", async () => {
  await using started = await start();
  await using second = agentProcess(started.server.url, started.folder.path);
  await expect(second.start()).rejects.toThrow('Cannot join the cluster as "box"');
  expect(await second.ended).toBe(2);
  expect((await recordOnce(started.bus, () => true))?.instance).toBe(started.record.instance);
});

test.skipIf(reason)("an agent that was killed is replaced under its name", async () => {
  await using started = await start();
  await started.agent.kill();
  await using second = agentProcess(started.server.url, started.folder.path);
  await second.start();
  expect((await recordOnce(started.bus, () => true))?.instance).not.toBe(started.record.instance);
});

test.skipIf(reason)("an agent that was frozen and replaced ends when it wakes", async () => {
  await using started = await start();
  const exit = started.agent.ended;
  started.agent.freeze();
  await using second = agentProcess(started.server.url, started.folder.path);
  await second.start();
  started.agent.thaw();
  expect(await exit).toBe(1);
  expect(started.agent.output).toContain("another one has joined the cluster under its name");
  expect((await recordOnce(started.bus, () => true))?.pid).toBe(second.pid);
});

test.skipIf(reason)("it serves on while NATS is gone, and joins again when NATS comes back empty", async () => {
  await using started = await start({ words: slowly });
  const { bus, client, record, server } = started;
  const { rest } = await running(client, await slowUnit(started.folder.path));
  await server.kill();
  await server.wipe();
  expect((await rest).length).toBeGreaterThan(400);
  expect((await client.describe({})).name).toBe("box");
  await server.restart();
  expect(await recordOnce(bus, (found) => found !== undefined)).toMatchObject({ instance: record.instance });
});

const absences: readonly (readonly [string, (server: NatsServer) => unknown])[] = [
  ["gone", (server) => server.kill()],
  ["frozen", (server) => server.freeze()],
];

test.skipIf(reason).each(absences)("it can be ended while NATS is %s", async (_how, leave) => {
  await using started = await start();
  await leave(started.server);
  const exit = started.agent.ended;
  process.kill(started.agent.pid, "SIGTERM");
  expect(await exit).toBe(0);
});

test.skipIf(reason)(
  "orders of a leader that was followed by another one are refused, and the cluster hears of it",
  async () => {
    await using started = await start();
    const request = await slowUnit(started.folder.path);
    expect((await collect(started.client.merge({ ...request, fence: 2n }))).length).toBeGreaterThan(400);
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await expect(collect(started.client.merge({ ...request, fence: 1n }))).rejects.toMatchObject({ code: "fenced" });
    }
    const fenced = async (): Promise<readonly ClusterEvent[]> =>
      (await eventsOf(started.bus)).filter(({ type }) => type === "fenced");
    await expect.poll(fenced).toMatchObject([{ level: "warning", job: "job", fields: { fence: "1", leader: "2" } }]);
  },
);

/** An address of a NATS server that does not run. */
async function stoppedServer(): Promise<NatsServer> {
  const server = await startNatsServer({ user: "ann", password: "secret-word" });
  await server.stop();
  return server;
}

test.skipIf(reason)("an agent that starts before NATS waits for it, and shows no password", async () => {
  await using folder = await temporaryFolder();
  await using server = await stoppedServer();
  await using agent = agentProcess(server.url, folder.path);
  const up = agent.start();
  await expect
    .poll(() => agent.output, { timeout: 10_000 })
    .toContain('Agent "box" waits for the cluster: Cannot connect');
  await server.restart();
  await up;
  expect(agent.output).toContain(`joined the cluster at nats://127.0.0.1:${server.port}\n`);
  expect(agent.output).not.toContain("secret-word");
});

test.skipIf(reason)("an agent whose NATS does not come ends with an error", async () => {
  await using folder = await temporaryFolder();
  await using server = await stoppedServer();
  await using agent = agentProcess(server.url, folder.path, "--nats-wait", "1");
  await expect(agent.start()).rejects.toThrow(
    /Cannot join the cluster: Cannot connect to NATS at .* \(waited for 1 s\)/,
  );
  expect(await agent.ended).toBe(1);
  expect(agent.output).not.toContain("secret-word");
});

test.skipIf(reason)("an agent that waits for NATS ends in peace on SIGTERM", async () => {
  await using folder = await temporaryFolder();
  await using server = await stoppedServer();
  await using agent = agentProcess(server.url, folder.path);
  agent.start().catch(() => undefined);
  await expect.poll(() => agent.output, { timeout: 10_000 }).toContain("waits for the cluster");
  const exit = agent.ended;
  process.kill(agent.pid, "SIGTERM");
  expect(await exit).toBe(0);
});
