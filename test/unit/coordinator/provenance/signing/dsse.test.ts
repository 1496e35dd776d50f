import { spawnSync } from "node:child_process";
import { createPublicKey, generateKeyPairSync, type KeyObject, verify } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  openEnvelope,
  preAuthenticationEncoding,
  signEnvelope,
} from "../../../../../coordinator/provenance/signing/dsse.js";
import { keyId } from "../../../../../coordinator/provenance/signing/keys.js";
import { withTempDir } from "../../../../support/checkpoints.js";

const kinds: readonly [string, () => { publicKey: KeyObject; privateKey: KeyObject }][] = [
  ["Ed25519", () => generateKeyPairSync("ed25519")],
  ["P-256", () => generateKeyPairSync("ec", { namedCurve: "P-256" })],
  ["P-384", () => generateKeyPairSync("ec", { namedCurve: "P-384" })],
];

/** The example of the DSSE protocol, version 1.0. */
test("preAuthenticationEncoding() is what the protocol's example signs", () => {
  const encoded = preAuthenticationEncoding("http://example.com/HelloWorld", Buffer.from("hello world"));
  expect(encoded.toString()).toBe("DSSEv1 29 http://example.com/HelloWorld 11 hello world");
  const coordinate = (decimal: string): string =>
    Buffer.from(BigInt(decimal).toString(16).padStart(64, "0"), "hex").toString("base64url");
  const x = coordinate("46950820868899156662930047687818585632848591499744589407958293238635476079160");
  const y = coordinate("5640078356564379163099075877009565129882514886557779369047442380624545832820");
  const key = createPublicKey({ key: { kty: "EC", crv: "P-256", x, y }, format: "jwk" });
  const sig = "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==";
  expect(verify("sha256", encoded, { key, dsaEncoding: "ieee-p1363" }, Buffer.from(sig, "base64"))).toBe(true);
});

test("preAuthenticationEncoding() counts bytes, not characters", () => {
  expect(preAuthenticationEncoding("é", Buffer.from("ü")).toString()).toBe("DSSEv1 2 é 2 ü");
});

test.each(kinds)("an envelope signed with %s opens with its key alone, and only as it was", (_, make) => {
  const { publicKey, privateKey } = make();
  const envelope = signEnvelope("a/type", Buffer.from("payload"), privateKey);
  expect(envelope.signatures[0]?.keyid).toBe(keyId(publicKey));
  expect(openEnvelope(envelope, publicKey)?.toString()).toBe("payload");
  expect(openEnvelope(envelope, make().publicKey)).toBeUndefined();
  const other = { ...envelope, payload: Buffer.from("Payload").toString("base64") };
  expect(openEnvelope(other, publicKey)).toBeUndefined();
  expect(openEnvelope({ ...envelope, payloadType: "b/type" }, publicKey)).toBeUndefined();
  const garbled = { ...envelope, signatures: [{ sig: "AAAA", keyid: keyId(publicKey) }] };
  expect(openEnvelope(garbled, publicKey)).toBeUndefined();
});

test("one good signature among others is enough, whatever its id says", () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const envelope = signEnvelope("a/type", Buffer.from("payload"), privateKey);
  const [own] = envelope.signatures;
  const signatures = [{ sig: "AAAA" }, { sig: own?.sig ?? "", keyid: "somebody else" }];
  expect(openEnvelope({ ...envelope, signatures }, publicKey)).toBeDefined();
});

test("Ed25519 signs the same payload the same way", () => {
  const { privateKey } = generateKeyPairSync("ed25519");
  const sign = () => signEnvelope("a/type", Buffer.from("payload"), privateKey);
  expect(sign()).toEqual(sign());
});

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

test.skipIf(!hasOpenssl).each(kinds.slice(0, 2))(
  "OpenSSL's own tool verifies what is signed with %s (skipped where there is none)",
  async (kind, make) => {
    await using dir = await withTempDir();
    const { publicKey, privateKey } = make();
    const { payload, payloadType, signatures } = signEnvelope("a/type", Buffer.from("payload"), privateKey);
    const at = (name: string): string => join(dir.path, name);
    await writeFile(at("key"), publicKey.export({ type: "spki", format: "pem" }));
    await writeFile(at("signed"), preAuthenticationEncoding(payloadType, Buffer.from(payload, "base64")));
    await writeFile(at("sig"), Buffer.from(signatures[0]?.sig ?? "", "base64"));
    const how = kind === "Ed25519" ? ["-rawin"] : ["-rawin", "-digest", "sha256"];
    const files = ["-verify", "-pubin", "-inkey", at("key"), "-in", at("signed"), "-sigfile", at("sig")];
    const { status, stdout } = spawnSync("openssl", ["pkeyutl", ...files, ...how], { encoding: "utf8" });
    expect([status, stdout.trim()]).toEqual([0, "Signature Verified Successfully"]);
  },
);
