import { connect, headers, type NatsConnection } from "nats";
import { expect, test } from "vitest";
import { Registry } from "../../../coordinator/cluster/registry.js";
import { settle } from "../../../shared/bus/nats/options.js";
import { systemClock } from "../../../shared/clock.js";
import { clusterEvent, keys, nodeRecord, parseRecord } from "../../../shared/cluster/records.js";
import { withTempDir } from "../../support/checkpoints.js";
import { beating, nodeOf } from "../../support/cluster-records.js";
import { whyNoNats } from "../../support/nats-server.js";
import { startSecuredNats } from "../../support/secured-nats.js";

// Whoever has an agent's key writes what it likes wherever an agent may write: a coordinator reads it all and is none the worse.

const reason = whyNoNats();
const honest = JSON.stringify(nodeOf("honest"));
/** What the streams take in one message; the server refuses more. */
const longest = 524_000;
/** All of it is read by one that is busy. */
const patient = { timeoutMs: 20_000 };

const bodies: Readonly<Record<string, string | Uint8Array>> = {
  nothing: "",
  "no JSON": "{",
  "no text": Uint8Array.from({ length: 1_000 }, (_, i) => i % 256),
  "a number": "1e999",
  null: "null",
  "brackets without end": "[".repeat(longest),
  "nested lists": `${"[".repeat(longest / 2)}${"]".repeat(longest / 2)}`,
  "a prototype": `{"__proto__":{"name":"x"},"constructor":{"prototype":{"polluted":true}}}`,
  "wrong types": JSON.stringify(Object.fromEntries(Object.keys(nodeOf("x")).map((key) => [key, [{}]]))),
  "numbers beyond all sense": JSON.stringify({ ...nodeOf("x"), slots: -1, running: 1e308, beatMs: 0 }),
  "a name without end": JSON.stringify({ ...nodeOf("x"), name: "x".repeat(longest - 1_000) }),
  "too long": "x".repeat(1_000_000),
  "roots without end": JSON.stringify({ ...nodeOf("x"), roots: Array(100_000).fill("/") }),
  "somebody else's record": honest.replace("{", '{"mood":"other",'),
};

const words = ["x", "honest", "%00"];
const subjects = [
  ...words.flatMap((key) => [`$KV.amalgam-nodes.nodes.${key}`, `amalgam.events.${key}`]),
  "$KV.amalgam-nodes.doctor.x",
];

/** Every body on every subject but the honest node's own, each also as a deletion of what is there. */
function scribble(client: NatsConnection): void {
  for (const subject of subjects.filter((one) => one !== `$KV.amalgam-nodes.${keys.node("honest")}`)) {
    for (const body of Object.values(bodies)) client.publish(subject, body);
    for (const operation of ["PURGE", "DEL", "x".repeat(60_000)]) {
      const header = headers();
      header.set("KV-Operation", operation);
      client.publish(subject, "{}", { headers: header });
    }
  }
}

test.skipIf(reason !== undefined)(
  `garbage on every key that an agent may write hurts no coordinator${reason === undefined ? "" : ` (${reason})`}`,
  async () => {
    await using folder = await withTempDir();
    await using server = await startSecuredNats(folder.path);
    await using coordinator = await server.open("coordinator", patient);
    await using viewer = await server.open("viewer", patient);
    await using registry = await Registry.watch(coordinator, systemClock);
    await using _ = await beating(coordinator, nodeOf("honest"));
    const agent = await connect(settle(await server.as("agent")).client);
    scribble(agent);
    agent.publish("amalgam.events.end", "the end");
    await agent.flush();
    await agent.close();

    const believed: string[] = [];
    for await (const { body } of viewer.events.read({ follow: true })) {
      const event = parseRecord(clusterEvent, body);
      if (event !== undefined) believed.push(event.type);
      if (body === "the end") break;
    }
    expect(believed).toEqual([]);
    const entries = await coordinator.nodes.entries("nodes.");
    const names = entries.flatMap(({ value }) => parseRecord(nodeRecord, value)?.name ?? []);
    expect(new Set(names)).toEqual(new Set(["honest"]));
    await expect.poll(() => registry.list.map(({ record }) => record.name), { timeout: 10_000 }).toEqual(["honest"]);
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
    // It leads as before.
    await coordinator.state.put("leases.a", "{}");
    expect((await coordinator.state.get("leases.a"))?.value).toBe("{}");
    expect(coordinator.isConnected).toBe(true);
  },
);
