import "../../../coordinator/certs/reflect-metadata.js";
import { createPrivateKey, webcrypto } from "node:crypto";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import * as x509 from "@peculiar/x509";
import { expect, test } from "vitest";
import {
  type Authority,
  importSigningKey,
  issue,
  signatureAlgorithm,
  validFor,
} from "../../../coordinator/certs/authority.js";
import { runAgent } from "../../../node-agent/agent.js";
import { AmalgamError } from "../../../shared/errors.js";
import { AgentService } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { Health } from "../../../shared/gen/grpc/health/v1/health_pb.js";
import { createClient } from "../../../shared/rpc/client.js";
import { readSecurity, reloadCredentials } from "../../../shared/rpc/security.js";
import type { Refusal } from "../../../shared/rpc/tls/server-credentials.js";
import { withTempDir } from "../../support/checkpoints.js";
import { type Certificates, TestAuthority } from "../../support/cluster/certificates.js";

// A stolen key counts until its certificate is on the list that nodes follow, and no longer.

/** An agent, and an authority whose lists the two ends follow, each its own. */
async function setUp(made?: Authority) {
  const folder = await withTempDir();
  const ends: (() => unknown)[] = [() => folder[Symbol.asyncDispose]()];
  const authority = await TestAuthority.make(folder.path, undefined, made);
  const lists = { agent: await authority.revoke("agent.crl"), client: await authority.revoke("client.crl") };
  const files = { ...(await authority.issue("agent-1", { roles: ["agent"] })), crl: lists.agent };
  const refusals: Refusal[] = [];
  const agent = await runAgent({
    ...{ roots: [folder.path], slots: 1, providers: [], security: readSecurity(files) },
    onRefused: (refusal) => refusals.push(refusal),
  });
  ends.unshift(() => agent.close());
  const client = async (name: string) => {
    const certificates = { ...(await authority.issue(name, { roles: ["coordinator"] })), crl: lists.client };
    const security = readSecurity(certificates);
    const made = {
      certificates,
      agents: createClient(AgentService, agent.address, security, {}),
      health: createClient(Health, agent.address, security, {}),
    };
    ends.unshift(() => {
      made.agents.close();
      made.health.close();
    });
    return made;
  };
  const dispose = async (): Promise<void> => {
    for (const end of ends) await end();
  };
  return { authority, agent, files, refusals, client, [Symbol.asyncDispose]: dispose };
}

/** Calls until it is answered: a client waits between attempts to connect. */
async function nameOf(
  agents: Awaited<ReturnType<Awaited<ReturnType<typeof setUp>>["client"]>>["agents"],
): Promise<string> {
  const giveUpAt = Date.now() + 15_000;
  for (;;) {
    try {
      return (await agents.describe({}, { timeoutMs: 10_000 })).name;
    } catch (error) {
      if (Date.now() > giveUpAt) throw error;
      await sleep(50);
    }
  }
}

/** Begins a call that has no end of its own; resolves with what ends it. */
async function watching(health: Awaited<ReturnType<Awaited<ReturnType<typeof setUp>>["client"]>>["health"]) {
  const leaving = new AbortController();
  const answers = health.watch({}, { signal: leaving.signal });
  await answers.next();
  const ended = answers.next().then(
    () => new Error("It goes on"),
    (error: unknown) => AmalgamError.from(error),
  );
  return { ended, [Symbol.dispose]: () => leaving.abort() };
}

/** A connection on which nothing but the handshake happens. */
function rawConnection(address: string, { ca, certificate, key }: Certificates) {
  const [host = "", port = ""] = address.split(":");
  const [a, b, c] = [ca, certificate, key].map((file) => readFileSync(file));
  return connectTls({ host, port: Number(port), ca: a, cert: b, key: c, ALPNProtocols: ["h2"] }).on(
    "error",
    () => undefined,
  );
}

test("an agent ends the connections of a revoked coordinator, with its calls, and refuses new ones; others go on", async () => {
  await using setting = await setUp();
  const { authority, agent, refusals } = setting;
  const [stolen, sound] = [await setting.client("stolen"), await setting.client("sound")];
  using lost = await watching(stolen.health);
  using kept = await watching(sound.health);
  const idle = rawConnection(agent.address, stolen.certificates);
  const idleClosed = once(idle, "close");
  await once(idle, "data");

  await authority.revoke("agent.crl", stolen.certificates);
  await reloadCredentials();
  expect(await lost.ended).toMatchObject({ code: "agent_lost" });
  await idleClosed;
  await expect(stolen.agents.describe({}, { timeoutMs: 10_000 })).rejects.toMatchObject({
    code: expect.stringMatching(/agent_lost|unauthorized/),
  });
  const again = rawConnection(agent.address, stolen.certificates);
  again.resume();
  await once(again, "close");
  expect(new Set(refusals.map(({ name }) => name))).toEqual(new Set(["stolen"]));
  expect(refusals[0]?.reason).toMatch(
    /^its certificate, serial [0-9A-F]{32}, is revoked since 20.* as ".*agent\.crl" says; its holder takes a new one with a new key/,
  );

  expect((await sound.agents.describe({})).name).toBe(agent.name);
  expect(await Promise.race([kept.ended, Promise.resolve("it goes on")])).toBe("it goes on");

  // A new certificate for the same name, and all is well.
  await authority.issue("stolen", { roles: ["coordinator"] });
  await reloadCredentials();
  expect(await nameOf(stolen.agents)).toBe(agent.name);
});

test("a coordinator's calls to a revoked agent end, and it is not called again until it has a new certificate", async () => {
  await using setting = await setUp();
  const { authority, agent, files } = setting;
  const { agents, health } = await setting.client("coordinator-1");
  using lost = await watching(health);
  expect((await agents.describe({})).name).toBe(agent.name);

  await authority.revoke("client.crl", files);
  await reloadCredentials();
  const refused = {
    code: "agent_lost",
    message: expect.stringMatching(
      /^Cannot trust 127\.0\.0\.1:\d+, which shows the certificate of "agent-1" \(agent\): its certificate, serial [0-9A-F]{32}, is revoked since/,
    ),
  };
  expect(await lost.ended).toMatchObject(refused);
  await expect(agents.describe({}, { timeoutMs: 10_000 })).rejects.toMatchObject(refused);

  await authority.issue("agent-1", { roles: ["agent"] });
  await reloadCredentials();
  expect(await nameOf(agents)).toBe(agent.name);
});

/** An authority that another one lets sign, or that lets others sign. */
async function authorityBelow(above?: Authority): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(signatureAlgorithm, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.create({
    ...{ serialNumber: above ? "4242424242" : "01", subject: above ? "CN=below" : "CN=above" },
    ...{ issuer: "CN=above", notAfter: validFor(2).to, signingAlgorithm: signatureAlgorithm },
    publicKey: keys.publicKey,
    signingKey: above ? await importSigningKey(above.key) : keys.privateKey,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  });
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  const key = String(
    createPrivateKey({ key: der, format: "der", type: "pkcs8" }).export({ format: "pem", type: "pkcs8" }),
  );
  return { certificate: `${certificate.toString("pem")}\n`, key };
}

test("with an authority go all below it, on both ends", async () => {
  const above = await authorityBelow();
  const below = await authorityBelow(above);
  await using setting = await setUp(above);
  const { authority, agent, files, refusals } = setting;
  const reissue = async (name: string, role: "agent" | "coordinator", to: Certificates) => {
    const issued = await issue(below, { name, roles: [role], hosts: ["127.0.0.1"] }, validFor(1));
    writeFileSync(to.certificate, `${issued.certificate}${below.certificate}`);
    writeFileSync(to.key, issued.key);
  };
  await reissue("agent-1", "agent", files);
  const one = await setting.client("coordinator-1");
  await reissue("coordinator-1", "coordinator", one.certificates);
  const other = await setting.client("coordinator-2");
  await reloadCredentials();
  expect([await nameOf(one.agents), await nameOf(other.agents)]).toEqual([agent.name, agent.name]);

  const own = `${files.ca}.below`;
  writeFileSync(own, below.certificate);
  await authority.revoke("agent.crl", { ...files, certificate: own });
  await reloadCredentials();
  const refused = { code: expect.stringMatching(/agent_lost|unauthorized/) };
  await expect(one.agents.describe({}, { timeoutMs: 10_000 })).rejects.toMatchObject(refused);
  expect(refusals.map(({ name, reason }) => [name, reason])).toContainEqual([
    "coordinator-1",
    expect.stringMatching(/^its authority's certificate, serial 4242424242, is revoked since/),
  ]);
  expect(await nameOf(other.agents)).toBe(agent.name);

  await authority.revoke("client.crl", { ...files, certificate: own });
  await reloadCredentials();
  await expect(other.agents.describe({}, { timeoutMs: 10_000 })).rejects.toThrow(
    /its authority's certificate, serial 4242424242, is revoked since/,
  );
});

test("a list that is not there, or not to be believed, is told at the start", async () => {
  await using folder = await withTempDir();
  const authority = await TestAuthority.make(folder.path);
  const other = await TestAuthority.make(`${folder.path}/other`);
  const files = await authority.issue("agent-1", { roles: ["agent"] });
  const start = (crl: string) =>
    runAgent({ roots: [folder.path], providers: [], security: readSecurity({ ...files, crl }) });
  await expect((async () => start(`${folder.path}/none.crl`))()).rejects.toThrow(/^Cannot read TLS file ".*none\.crl"/);
  await expect(other.revoke("other.crl").then(start)).rejects.toThrow(
    /^Cannot use revocation list ".*other\.crl": it is signed by none of the authorities that we trust/,
  );
  expect(() => readSecurity({ crl: files.ca })).toThrow('give all of "--tls-ca", "--tls-cert" and "--tls-key"');
});
