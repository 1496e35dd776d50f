import "../../../coordinator/certs/reflect-metadata.js";
import { generateKeyPairSync, type KeyObject, webcrypto, X509Certificate } from "node:crypto";
import { mkdir, readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BasicConstraintsExtension, X509CertificateGenerator } from "@peculiar/x509";
import { expect, test } from "vitest";
import { identityOf } from "../../../shared/rpc/tls/identity.js";
import { parseRevocations } from "../../../shared/rpc/tls/revocation-list.js";
import { withWorkplace } from "../../support/command.js";

// "amalgam certs": what it makes, what it leaves alone, and what it says.

/** Another program's authority, with a key that is none of ours. */
async function writeForeignAuthority(folder: string, kind: string, details: object): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync(kind as "rsa", details as { modulusLength: number });
  const algorithm =
    kind === "rsa"
      ? { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }
      : { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" };
  const imported = async (key: KeyObject, usage: "sign" | "verify") => {
    const type = usage === "sign" ? "pkcs8" : "spki";
    const der = key.export({ format: "der", type: type as "pkcs8" });
    return await webcrypto.subtle.importKey(type as "pkcs8", der, algorithm, true, [usage]);
  };
  const keys = { privateKey: await imported(privateKey, "sign"), publicKey: await imported(publicKey, "verify") };
  const certificate = await X509CertificateGenerator.createSelfSigned({
    ...{ name: "CN=theirs", notAfter: new Date(Date.now() + 86_400_000), signingAlgorithm: algorithm, keys },
    extensions: [new BasicConstraintsExtension(true)],
  });
  await writeFile(join(folder, "ca.pem"), certificate.toString("pem"));
  await writeFile(join(folder, "ca.key"), privateKey.export({ format: "pem", type: "pkcs8" }));
}

const words = ["--agent", "a1=10.0.0.7,a1.lan,::1", "--coordinator", "c1", "--operator", "ann", "--nats", "10.0.0.1"];

test("makes an authority and a certificate for each, whose keys nobody else can read", async () => {
  await using work = await withWorkplace();
  const { code, stdout } = await work.run("certs", work.at("tls"), ...words, "--viewer", "bob", "--cluster", "blue");
  expect(code).toBe(0);
  const files = ["a1", "ann", "bob", "c1", "ca", "nats"].flatMap((name) => [`${name}.key`, `${name}.pem`]);
  expect((await readdir(work.at("tls"))).sort()).toEqual([...files, "ca.crl"].sort());
  expect((await stat(work.at("tls"))).mode & 0o777).toBe(0o700);
  for (const file of files.filter((name) => name.endsWith(".key"))) {
    expect((await stat(work.at("tls", file))).mode & 0o777).toBe(0o600);
  }
  const authority = new X509Certificate(await readFile(work.at("tls", "ca.pem")));
  const agent = new X509Certificate(await readFile(work.at("tls", "a1.pem")));
  expect([agent.verify(authority.publicKey), agent.ca, authority.ca]).toEqual([true, false, true]);
  expect(identityOf(agent)).toMatchObject({ name: "a1", roles: ["agent"], cluster: "blue" });
  expect([agent.checkIP("10.0.0.7"), agent.checkHost("a1.lan"), agent.checkHost("localhost")]).toEqual([
    "10.0.0.7",
    "a1.lan",
    undefined,
  ]);
  const days = (Date.parse(agent.validTo) - Date.now()) / 86_400_000;
  expect(Math.round(days)).toBe(30);
  expect(stdout).toContain(
    "amalgam agent --root DIR --host 10.0.0.7 --nats tls://10.0.0.1:4222 --tls-ca tls/ca.pem --tls-cert tls/a1.pem --tls-key tls/a1.key --tls-crl tls/ca.crl",
  );
});

test("adds to what is there, never writes over it, and renews when told to", async () => {
  await using work = await withWorkplace();
  const serials = async (): Promise<readonly string[]> =>
    await Promise.all(
      ["ca", "a1", "c1"].map(async (name) => {
        return new X509Certificate(await readFile(work.at("tls", `${name}.pem`))).serialNumber;
      }),
    );
  await work.run("certs", work.at("tls"), "--agent", "a1=10.0.0.7", "--coordinator", "c1");
  const [ca, ...before] = await serials();

  const again = await work.run("certs", work.at("tls"), "--agent", "a1=10.0.0.7", "--agent", "a2=10.0.0.8");
  expect(again).toMatchObject({ code: 2, stdout: "" });
  expect(again.stderr).toBe(
    'Cannot make certificates in "tls": "a1.pem", "a1.key" are there already; "--renew" puts new ones in their place\n',
  );
  expect(await readdir(work.at("tls"))).not.toContain("a2.pem");

  expect((await work.run("certs", work.at("tls"), "--agent", "a2=10.0.0.8")).code).toBe(0);
  expect(await serials()).toEqual([ca, ...before]);

  expect((await work.run("certs", work.at("tls"), "--renew", "--agent", "a1=10.0.0.9")).code).toBe(0);
  const [sameCa, renewed, untouched] = await serials();
  expect([sameCa, untouched]).toEqual([ca, before[1]]);
  expect(renewed).not.toBe(before[0]);

  const { stdout } = await work.run("certs", work.at("tls"), "--renew", "--json", "--days", "3");
  const { issued } = JSON.parse(stdout) as { issued: { name: string; hosts: string[]; validTo: string }[] };
  expect(issued.map(({ name, hosts }) => [name, ...hosts])).toEqual([["a1", "10.0.0.9"], ["a2", "10.0.0.8"], ["c1"]]);
  expect(Math.round((Date.parse(issued[0]?.validTo ?? "") - Date.now()) / 86_400_000)).toBe(3);
});

test.each([
  [[], /^Cannot make certificates for nobody/],
  [["--agent", "../a=h"], /^Cannot use "\.\.\/a" for "--agent": a name takes up to 63 letters/],
  [["--agent", "ca=h"], /^Cannot use "ca" for "--agent": that is the name of another file/],
  [["--agent", "a=*.lan"], /^Cannot use "\*\.lan" for "--agent": it is no host/],
  [["--nats", "10.0.0.300"], /^Cannot use "10\.0\.0\.300" for "--nats": it is no host/],
  [["--agent", "a=h", "--viewer", "a"], /^Cannot make two certificates named "a"/],
  [["--renew"], /^Cannot renew certificates in "tls": there is no authority, "ca\.pem"/],
  [["--operator", "a", "--cluster", "a:agent"], /^Cannot use "a:agent" for "--cluster"/],
  [["--operator", "a", "--days", "0"], /number from 1/],
])("refuses %j", async (argv, complaint) => {
  await using work = await withWorkplace();
  const { code, stderr } = await work.run("certs", work.at("tls"), ...argv);
  expect(code).toBe(2);
  expect(stderr.replace(/^error: .*is invalid\. /, "")).toMatch(complaint);
});

test("an authority whose key is another one's is not used", async () => {
  await using work = await withWorkplace();
  await work.run("certs", work.at("one"), "--viewer", "a");
  await work.run("certs", work.at("two"), "--viewer", "a");
  await writeFile(work.at("one", "ca.key"), await readFile(work.at("two", "ca.key")));
  const { code, stderr } = await work.run("certs", work.at("one"), "--viewer", "b");
  expect([code, stderr]).toEqual([
    2,
    'Cannot issue certificates with "one/ca.pem" and "one/ca.key": the key is of another certificate\n',
  ]);
});

test("an authority's key without its certificate is not written over", async () => {
  await using work = await withWorkplace();
  await work.run("certs", work.at("tls"), "--agent", "a=h");
  const key = await readFile(work.at("tls", "ca.key"));
  await rename(work.at("tls", "ca.pem"), work.at("tls", "old-ca.pem"));
  const { code, stderr } = await work.run("certs", work.at("tls"), "--agent", "b=h");
  expect(code).toBe(2);
  expect(stderr).toMatch(/^Cannot make an authority in "tls": "ca\.key" is there, .* without its certificate/);
  expect(await readFile(work.at("tls", "ca.key"))).toEqual(key);
});

test.each([
  ["rsa", { modulusLength: 2048 }, /: the key is not one of ECDSA over P-256, as this command signs with$/],
  ["ec", { namedCurve: "P-384" }, /: the key is not one of ECDSA over P-256/],
  ["none", {}, /: they are not a certificate and its private key in PEM$/],
])("an authority with a key of another kind (%s) is refused in words", async (kind, details, complaint) => {
  await using work = await withWorkplace();
  await mkdir(work.at("tls"));
  if (kind === "none") for (const file of ["ca.pem", "ca.key"]) await writeFile(work.at("tls", file), "?");
  else await writeForeignAuthority(work.at("tls"), kind, details);
  const { code, stderr } = await work.run("certs", work.at("tls"), "--agent", "a=h");
  expect([code, stderr.trim()]).toEqual([2, expect.stringMatching(complaint)]);
  expect((await readdir(work.at("tls"))).sort()).toEqual(["ca.key", "ca.pem"]);
});

test("renewing leaves authorities alone, and says where a cluster's name belongs", async () => {
  await using work = await withWorkplace();
  await work.run("certs", work.at("my tls"), "--agent", "a=::1", "--nats", "::1", "--cluster", "blue");
  const ca = await readFile(work.at("my tls", "ca.pem"));
  await writeFile(work.at("my tls", "before.pem"), ca);
  const { code, stdout } = await work.run("certs", work.at("my tls"), "--renew");
  expect(code).toBe(0);
  expect(await readFile(work.at("my tls", "before.pem"))).toEqual(ca);
  expect(stdout).toContain('Its users in server.conf are "urn:amalgam:cluster:blue:agent" and so on then.');
  expect(stdout).toMatch(/--nats tls:\/\/\[0:[0:]+1\]:4222 --tls-ca 'my tls\/ca\.pem'/);
});

/** Whether the list in "tls" has a certificate. */
async function isRevoked(work: { at: (...parts: string[]) => string }, certificate: Buffer): Promise<boolean> {
  const [list, ca] = await Promise.all(["ca.crl", "ca.pem"].map((name) => readFile(work.at("tls", name))));
  if (list === undefined || ca === undefined) throw new Error("There is a list, and an authority");
  return parseRevocations(list, ca, "the list").revokedOn(new X509Certificate(certificate)) !== undefined;
}

test("revokes by name, file and serial number, and goes on from the list that is there", async () => {
  await using work = await withWorkplace();
  await work.run("certs", work.at("tls"), "--agent", "a1=h", "--agent", "a2=h", "--agent", "a3=h", "--viewer", "bob");
  const [a1, a2, a3, bob] = await Promise.all(
    ["a1", "a2", "a3", "bob"].map((name) => readFile(work.at("tls", `${name}.pem`))),
  );
  if (!a1 || !a2 || !a3 || !bob) throw new Error("Four certificates were made");
  expect(await isRevoked(work, a1)).toBe(false);

  // With a successor at once: it is the old one that is revoked.
  const first = await work.run("certs", work.at("tls"), "--revoke", "a1", "--renew", "--agent", "a1=h");
  expect(first.code).toBe(0);
  expect(first.stdout).toMatch(
    /^Revoked "a1" \(agent\), serial [0-9A-F]{32}, since 20.*\ntls\/ca\.crl has 1 certificate: /,
  );
  const renewed = await readFile(work.at("tls", "a1.pem"));
  const second = await work.run("certs", work.at("tls"), "--json", "--revoke", work.at("tls", "a2.pem"));
  expect(JSON.parse(second.stdout)).toMatchObject({ size: 2, revoked: [{ whose: '"a2" (agent)' }] });
  const serial = new X509Certificate(a3).serialNumber.toLowerCase();
  const third = await work.run("certs", work.at("tls"), "--revoke", serial, "--revoke", "a2");
  expect(third.stdout).toContain("tls/ca.crl has 3 certificates");

  const verdicts = await Promise.all([a1, a2, a3, renewed, bob].map((one) => isRevoked(work, one)));
  expect(verdicts).toEqual([true, true, true, false, false]);
});

test.each([
  ["nobody", /^Cannot revoke "nobody": there is no "nobody\.pem" in "tls", no such file, and it is no serial number/],
  ["ca", /^Cannot revoke "tls\/ca\.pem": it is an authority's; give every node a new authority's/],
  ["theirs/a.pem", /^Cannot revoke "theirs\/a\.pem": it is of another authority, whose list it belongs on$/],
])("does not revoke %j, and writes nothing", async (word, complaint) => {
  await using work = await withWorkplace();
  await work.run("certs", work.at("tls"), "--agent", "a=h");
  await work.run("certs", work.at("theirs"), "--agent", "a=h");
  const before = await readFile(work.at("tls", "ca.crl"));
  const named = word.includes("/") ? work.at(...word.split("/")) : word;
  const { code, stderr } = await work.run("certs", work.at("tls"), "--revoke", "a", "--revoke", named);
  expect([code, stderr.trim()]).toEqual([2, expect.stringMatching(complaint)]);
  expect(await readFile(work.at("tls", "ca.crl"))).toEqual(before);
});
