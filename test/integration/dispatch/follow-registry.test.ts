import { expect, test } from "vitest";
import { Agents } from "../../../coordinator/dispatch/agents.js";
import { followRegistry } from "../../../coordinator/job/follow-registry.js";
import { runAgent } from "../../../node-agent/main.js";
import type { NodeRecord } from "../../../shared/cluster/records.js";
import { AmalgamError } from "../../../shared/errors.js";
import { kernelsVersion, protocolVersion } from "../../../shared/rpc/version.js";
import { fakeWorker, temporaryFolder } from "../../support/dispatch.js";

// A job's agents follow the cluster's, over real connections. What the registry says is the test's own.

class FakeRegistry {
  list: readonly { readonly record: NodeRecord }[] = [];
  readonly #listeners = new Set<(list: FakeRegistry["list"]) => void>();

  onChange(listener: (list: FakeRegistry["list"]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  say(...nodes: readonly Partial<NodeRecord>[]): void {
    this.list = nodes.map((node) => ({ record: { ...usual, ...node } }));
    for (const listener of this.#listeners) listener(this.list);
  }
}

const usual: NodeRecord = {
  name: "a",
  instance: "1",
  role: "agent",
  host: "h",
  pid: 1,
  version: "0",
  protocol: protocolVersion,
  kernels: kernelsVersion,
  state: "ready",
  slots: 1,
  memoryBytes: 1e9,
  roots: [],
  running: 0,
  beat: 1,
  beatMs: 1_000,
  startedAt: "",
};

function start(root: string, name: string, port = 0) {
  return runAgent({ roots: [root], worker: fakeWorker, slots: 1, name, port });
}

const patience = { timeout: 20_000 };

test("whoever appears is connected to; incompatible ones and coordinators are not", async () => {
  await using folder = await temporaryFolder();
  await using a = await start(folder.path, "a");
  await using b = await start(folder.path, "b");
  await using agents = new Agents();
  const registry = new FakeRegistry();
  registry.say({ name: "a", address: a.address });
  await using following = followRegistry(registry, agents);
  await following.started;
  const states = () => Object.fromEntries(agents.list.map(({ name, state }) => [name, state]));
  expect(states()).toEqual({ a: "ready" });
  registry.say(
    { name: "a", address: a.address },
    { name: "b", address: b.address },
    { name: "old", address: "127.0.0.1:1", kernels: "of yesterday" },
    { name: "new", address: "127.0.0.1:2", protocol: protocolVersion + 1 },
    { name: "coordinator", role: "coordinator" },
  );
  await expect.poll(states, patience).toEqual({ a: "ready", b: "ready" });
});

test("one whose beats stop is kept while it answers, and removed when it does not", async () => {
  await using folder = await temporaryFolder();
  await using a = await start(folder.path, "a");
  await using agents = new Agents({ reconnectMs: 60_000 });
  const registry = new FakeRegistry();
  registry.say({ address: a.address });
  await using following = followRegistry(registry, agents);
  await following.started;
  registry.say();
  expect(agents.list.map(({ state }) => state)).toEqual(["ready"]);
  await a.close();
  const [agent] = agents.list;
  await expect(agent?.client.describe({})).rejects.toMatchObject({ code: "agent_lost" });
  registry.say();
  // Its loss is noticed by whoever has work for it.
  agent?.report(new AmalgamError("agent_lost", "gone"));
  await expect.poll(() => agent?.state, patience).toBe("lost");
});

test("one that says that it drains is given nothing more, and is not connected to", async () => {
  await using folder = await temporaryFolder();
  await using a = await start(folder.path, "a");
  await using b = await start(folder.path, "b");
  await using agents = new Agents();
  const registry = new FakeRegistry();
  registry.say({ name: "a", address: a.address });
  await using following = followRegistry(registry, agents);
  await following.started;
  registry.say(
    { name: "a", address: a.address, state: "draining" },
    { name: "b", address: b.address, state: "draining" },
  );
  expect(agents.list.map(({ name, state }) => [name, state])).toEqual([["a", "draining"]]);
  // Its last result may still be on its way.
  registry.say();
  expect(agents.list.map(({ name, state }) => [name, state])).toEqual([["a", "draining"]]);
});

test("another instance at the same address is a new agent", async () => {
  await using folder = await temporaryFolder();
  const before = await start(folder.path, "a");
  const port = Number(before.address.split(":").at(-1));
  await using agents = new Agents();
  const registry = new FakeRegistry();
  registry.say({ address: before.address, instance: "1" });
  await using following = followRegistry(registry, agents);
  await following.started;
  const [first] = agents.list;
  await before.close();
  await using _after = await start(folder.path, "a again", port);
  registry.say({ address: before.address, instance: "2" });
  const current = () => agents.list.find(({ address, state }) => address === before.address && state === "ready")?.name;
  await expect.poll(current, patience).toBe("a again");
  expect(first?.state).toBe("lost");
});
