import "node:tls"; // Before toLegacyObject(): see identity.ts.
import { X509Certificate } from "node:crypto";
import type { PeerCertificate } from "node:tls";
import { expect, test } from "vitest";
import { createAuthority, issue, validFor } from "../../../../../coordinator/certs/authority.js";
import { checkNatsServer } from "../../../../../shared/bus/nats/server-name.js";

const authority = createAuthority("test", validFor(1));

async function certificateFor(hosts: readonly string[]): Promise<PeerCertificate> {
  const { certificate } = await issue(await authority, { name: "nats", roles: [], hosts }, validFor(1));
  return new X509Certificate(certificate).toLegacyObject() as PeerCertificate;
}

// The client asks about "localhost" when it has connected to an address.
test.each([
  [["10.0.0.1"], "localhost", ["10.0.0.1"], true],
  [["10.0.0.1"], "localhost", ["localhost"], false],
  [["10.0.0.1"], "localhost", ["10.0.0.2"], false],
  [["10.0.0.1", "10.0.0.2"], "localhost", ["10.0.0.2"], true],
  [["nats.lan"], "nats.lan", ["nats.lan"], true],
  [["nats.lan"], "nats.lan", ["other.lan"], false],
  [["nats.lan", "10.0.0.1"], "nats.lan", ["10.0.0.1"], false],
  [["localhost"], "localhost", ["localhost"], true],
  [["localhost", "127.0.0.1"], "localhost", ["127.0.0.1"], true],
  [["localhost", "127.0.0.1"], "localhost", ["nats.lan"], false],
] as const)("of servers %j, asked about %s, a certificate for %j: %s", async (hosts, asked, names, isRight) => {
  const refusal = checkNatsServer(hosts)(asked, await certificateFor(names));
  expect(refusal === undefined).toBe(isRight);
});
