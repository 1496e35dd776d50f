import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import { createAuthority, issue, type Subject, validFor } from "../../../../../coordinator/certs/authority.js";
import { alternativeNames, describeIdentity, identityOf } from "../../../../../shared/rpc/tls/identity.js";
import { repositoryPath } from "../../../../support/repository.js";

const authority = createAuthority("test", validFor(1));

async function identityFor(subject: Partial<Subject>) {
  const wanted = { name: "n", roles: [], hosts: [], ...subject };
  const { certificate } = await issue(await authority, wanted, validFor(1));
  return identityOf(new X509Certificate(certificate));
}

test.each<[string, Partial<Subject>, object, string]>([
  ["nobody", {}, { name: "n", roles: [], cluster: undefined }, '"n" (no role)'],
  ["an agent", { roles: ["agent"], hosts: ["::1", "a.b"] }, { roles: ["agent"] }, '"n" (agent)'],
  [
    "two roles in a cluster",
    { name: "gpu 7", roles: ["coordinator", "agent"], cluster: "blue" },
    { name: "gpu 7", roles: ["agent", "coordinator"], cluster: "blue" },
    '"gpu 7" (agent and coordinator of cluster "blue")',
  ],
  [
    "a name that looks like more",
    { name: "x, CN=y/CN=z\\" },
    { name: "x, CN=y/CN=z\\" },
    '"x, CN=y/CN=z\\\\" (no role)',
  ],
])("a certificate of %s says so", async (_, subject, expected, described) => {
  const identity = await identityFor(subject);
  expect(identity).toMatchObject(expected);
  expect(describeIdentity(identity)).toBe(described);
});

test.each([
  ["DNS:a.b, URI:urn:amalgam:agent", ["DNS=a.b", "URI=urn:amalgam:agent"]],
  ["IP Address:10.0.0.1", ["IP Address=10.0.0.1"]],
  // A name in which another one hides comes quoted.
  ['DNS:"x, URI:urn:amalgam:coordinator, DNS:y"', ["DNS=x, URI:urn:amalgam:coordinator, DNS:y"]],
  ['DNS:"a\\", URI:urn:amalgam:coordinator", URI:urn:x', ['DNS=a", URI:urn:amalgam:coordinator', "URI=urn:x"]],
  ["", []],
])("%s has its names and no other", (text, expected) => {
  expect(alternativeNames(text).map(({ kind, value }) => `${kind}=${value}`)).toEqual(expected);
});

test("a process that has looked at a certificate can still speak TLS", async () => {
  const { certificate } = await authority;
  const script = `
    import { X509Certificate } from "node:crypto";
    import { identityOf } from "${repositoryPath("dist/shared/rpc/tls/identity.js")}";
    const { name } = identityOf(new X509Certificate(process.argv.at(-1)));
    const { createSecureContext } = await import("node:tls");
    console.log(name, typeof createSecureContext);
  `;
  const words = ["--input-type=module", "-e", script, "--", certificate];
  expect(execFileSync(process.execPath, words, { encoding: "utf8" })).toBe("test function\n");
});
