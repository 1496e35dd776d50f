import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import { expect, test } from "vitest";
import { blockBytes } from "../../support/bulky.js";
import { BulkyCluster } from "../../support/cluster/bulky-cluster.js";
import { TestAuthority } from "../../support/cluster/certificates.js";
import type { Cluster } from "../../support/cluster/cluster.js";
import type { NodeProcess } from "../../support/cluster/node-process.js";
import { natsPath, whyNoNats } from "../../support/nats-server.js";

// N13: certificates, and the authority itself, are replaced while a job runs, and nobody is started anew.

const reason = whyNoNats();

/** Has every node read its files now, and waits until those that say so have said it `times` times. */
async function reload({ nats, coordinators, agents }: Cluster, times: number): Promise<void> {
  process.kill(nats.pid, "SIGHUP");
  const nodes = [...coordinators, ...agents];
  for (const node of nodes) process.kill(node.pid, "SIGHUP");
  for (const node of nodes) await says(node, "Uses the new TLS files", times);
}

async function says(node: NodeProcess, text: string, times: number): Promise<void> {
  const giveUpAt = Date.now() + 20_000;
  while (node.output.split(text).length <= times) {
    if (Date.now() > giveUpAt) throw new Error(`"${node.name}" does not say "${text}":\n${node.output}`);
    await sleep(50);
  }
}

/** Who signed the certificate that a server shows to a new connection. */
function issuerOf(address: string, files: { ca: string; certificate: string; key: string }): Promise<string> {
  const [host = "", port = ""] = address.split(":");
  const [ca, cert, key] = [files.ca, files.certificate, files.key].map((file) => readFileSync(file));
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), ca, cert, key, ALPNProtocols: ["h2"] }, () => {
      resolve(socket.getPeerCertificate().issuer.CN);
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

test.skipIf(reason !== undefined)(
  `N13: a job goes on while all certificates and the authority are replaced${reason === undefined ? "" : ` (${reason})`}`,
  async () => {
    await using setting = await BulkyCluster.start({
      ...{ nats: natsPath(), coordinators: 1, agents: 2, network: "loopback", secured: true, ioLimit: "3MB" },
    });
    const { cluster } = setting;
    const { authority: before } = cluster.certificates;
    const client = cluster.certificates.get("client");
    const address = /listens on (\S+)/.exec(cluster.agent(1).output)?.[1];
    if (client === undefined || address === undefined) throw new Error("There is a client, and an agent");

    await using job = await setting.begin({ unitBytes: 4 * blockBytes });
    await job.unitsDone(1);
    expect(await issuerOf(address, client)).toBe("test authority");

    const after = await TestAuthority.make(join(setting.folder, "new-authority"), "new authority");
    writeFileSync(before.ca, `${before.authority.certificate}${after.authority.certificate}`);
    await reload(cluster, 1);

    for (const name of ["nats", "client", "coordinator-1", "agent-1", "agent-2"]) {
      const roles = { nats: [], client: ["operator"] as const, "coordinator-1": ["coordinator"] as const };
      const files = await after.issue(name, { roles: roles[name as keyof typeof roles] ?? ["agent"] });
      const old = cluster.certificates.get(name);
      if (old === undefined) throw new Error(`"${name}" has a certificate`);
      writeFileSync(old.key, readFileSync(files.key));
      writeFileSync(old.certificate, readFileSync(files.certificate));
    }
    await reload(cluster, 2);
    expect(await issuerOf(address, client)).toBe("new authority");

    writeFileSync(before.ca, after.authority.certificate);
    await reload(cluster, 3);

    // Whoever was there goes on, and new connections of all kinds are made with what is new.
    await cluster.nats.kill("SIGTERM");
    await cluster.nats.start();
    await cluster.agent(2).kill();
    await cluster.agent(2).start();
    const started = job.watch.events.filter(({ event, agent }) => event === "unit started" && agent === "agent-2");
    await job.unitsOn(cluster.agent(2), started.length + 1);
    await job.expectDone();
  },
  120_000,
);
