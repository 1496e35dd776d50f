import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { LiveNode } from "../../../coordinator/cluster/liveness.js";
import { Agents } from "../../../coordinator/dispatch/agents.js";
import { followRegistry } from "../../../coordinator/job/follow-registry.js";
import { runAgent } from "../../../node-agent/agent.js";
import { PeerFiles } from "../../../node-agent/files/peer-files.js";
import { readSecurity } from "../../../shared/rpc/security.js";
import { withTempDir } from "../../support/checkpoints.js";
import { TestAuthority } from "../../support/cluster/certificates.js";
import { nodeOf } from "../../support/cluster-records.js";

test("N14: an agent reads nothing from a peer that shows another agent's certificate", async () => {
  await using folder = await withTempDir();
  const authority = await TestAuthority.make(folder.path);
  const path = join(folder.path, "weights");
  await writeFile(path, "0123456789");
  const { size, mtimeMs: modifiedMs } = await stat(path);
  const stolen = readSecurity(await authority.issue("agent-1", { roles: ["agent"] }));
  await using impostor = await runAgent({ roots: [folder.path], slots: 1, providers: [], security: stolen });

  const files = new PeerFiles({ security: readSecurity(await authority.issue("agent-3", { roles: ["agent"] })) });
  const peers = { path, bytes: BigInt(size), modifiedMs, peers: [impostor.address] };
  const fetch = async (name: string): Promise<string> => {
    const got: Uint8Array[] = [];
    const wanted = { file: { ...peers, peerNames: [name] }, offset: 0, length: size };
    await files.fetch(wanted, (bytes) => void got.push(bytes), new AbortController().signal);
    return String(Buffer.concat(got));
  };
  await expect(fetch("agent-2")).rejects.toThrow('the node that is said to be there is "agent-2"');
  expect(await fetch("agent-1")).toBe("0123456789");
  expect(await fetch("")).toBe("0123456789");
  files.close();
});

test("N14: whoever has one agent's key cannot pass for another agent, and is used again when it is who it says", async () => {
  await using folder = await withTempDir();
  const authority = await TestAuthority.make(folder.path);
  const stolen = readSecurity(await authority.issue("agent-1", { roles: ["agent"] }));
  const security = readSecurity(await authority.issue("coordinator-1", { roles: ["coordinator"] }));
  await using impostor = await runAgent({ roots: [folder.path], slots: 1, providers: [], security: stolen });
  const record = { ...nodeOf("agent-2"), role: "agent", address: impostor.address } as const;
  const registry = { list: [{ record } as LiveNode], onChange: () => () => true };

  await using agents = new Agents({ security, reconnectMs: 100 });
  const told: string[] = [];
  await using following = followRegistry(registry, agents, undefined, (name, why) => told.push(`${name}: ${why}`));
  await following.started;
  const giveUpAt = Date.now() + 10_000;
  while (told.length === 0 && Date.now() < giveUpAt) await sleep(50);
  expect(told).toEqual([
    `agent-2: Cannot trust ${impostor.address}, which shows the certificate of "agent-1" (agent): the node that is said to be there is "agent-2"`,
  ]);
  expect(agents.list.map(({ state }) => state)).not.toContain("ready");

  registry.list = [{ record: { ...record, name: "agent-1", instance: "another" } } as LiveNode];
  while (agents.list[0]?.state !== "ready" && Date.now() < giveUpAt) await sleep(50);
  expect(agents.list.map(({ state }) => state)).toEqual(["ready"]);
  expect(told).toHaveLength(1);
});
