import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { cp, mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { signEnvelope } from "../../../../../coordinator/provenance/signing/dsse.js";
import { readPublicKey } from "../../../../../coordinator/provenance/signing/keys.js";
import { signatureName } from "../../../../../coordinator/provenance/signing/sign.js";
import { signWith } from "../../../../../coordinator/provenance/signing/signature-file.js";
import { formatStatement } from "../../../../../coordinator/provenance/signing/statement.js";
import { verifySignature } from "../../../../../coordinator/provenance/signing/verify-signature.js";
import { withTempDir } from "../../../../support/checkpoints.js";
import { hashDirectory } from "../../../../support/plans.js";
import { repositoryPath } from "../../../../support/repository.js";

const fixtures = repositoryPath("test/unit/coordinator/provenance/signing/fixtures");

/** A folder of two files and its signature. */
async function withSigned() {
  const folder = await withTempDir();
  const at = (name: string): string => join(folder.path, name);
  await writeFile(at("config.json"), "{}");
  await writeFile(at("model.safetensors"), "weights");
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const files = Object.entries(await hashDirectory(folder.path)).map(([name, sha256]) => ({ name, sha256 }));
  const text = signWith(privateKey)(files);
  await writeFile(at(signatureName), text);
  const verify = async (key: KeyObject = publicKey): Promise<readonly string[]> => {
    const findings = await verifySignature(folder.path, { key, name: "public.pem" }, new Map());
    return findings.map(({ file, kind, problem }) => `${file} ${kind}: ${problem}`);
  };
  return { at, files, text, privateKey, verify, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

test("a signature is believed of the files that were signed", async () => {
  await using signed = await withSigned();
  expect(await signed.verify()).toEqual([]);
  await writeFile(signed.at(".gitattributes"), "*.safetensors filter=lfs\n");
  expect(await signed.verify()).toEqual([]);
});

test("what was done to files after they were signed is said of each of them", async () => {
  await using signed = await withSigned();
  await writeFile(signed.at("config.json"), "[]");
  await rename(signed.at("model.safetensors"), signed.at("model2.safetensors"));
  await mkdir(signed.at("more"));
  expect((await signed.verify()).map((line) => line.split(",")[0]?.split(": its")[0])).toEqual([
    'config.json digest: "config.json" was changed after it was signed',
    'model.safetensors missing: "model.safetensors" was signed and is missing',
    'model2.safetensors unsigned: "model2.safetensors" is not among the files that were signed',
    'more unsigned: "more" is not among the files that were signed',
  ]);
  await rm(signed.at("config.json"));
  await symlink(signed.at("model2.safetensors"), signed.at("config.json"));
  expect((await signed.verify())[0]).toBe('config.json unreadable: "config.json" is not a regular file');
});

test("another key, an altered envelope and none at all are told apart", async () => {
  await using signed = await withSigned();
  const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey;
  expect(await signed.verify(other)).toEqual([
    expect.stringMatching(
      /^model\.sig signature: "model\.sig" was signed with another key \("[0-9a-f]{64}"\) than that in "public\.pem"/,
    ),
  ]);
  const bundle = JSON.parse(signed.text) as { dsseEnvelope: { payload: string } };
  const fewer = formatStatement(signed.files.slice(0, 1)).toString("base64");
  const altered = { ...bundle, dsseEnvelope: { ...bundle.dsseEnvelope, payload: fewer } };
  await writeFile(signed.at(signatureName), JSON.stringify(altered));
  expect(await signed.verify()).toEqual([
    'model.sig signature: "model.sig" was altered: what it says is not what the key in "public.pem" signed',
  ]);
  await rm(signed.at(signatureName));
  expect(await signed.verify()).toEqual(['model.sig signature: "model.sig" is missing: the output is not signed']);
});

test("what is signed with the key and is no statement about a model is not taken for one", async () => {
  await using signed = await withSigned();
  const bundle = JSON.parse(signed.text) as object;
  const write = (type: string, payload: string): Promise<void> => {
    const dsseEnvelope = signEnvelope(type, Buffer.from(payload), signed.privateKey);
    return writeFile(signed.at(signatureName), JSON.stringify({ ...bundle, dsseEnvelope }));
  };
  await write("text/plain", formatStatement(signed.files).toString());
  expect(await signed.verify()).toEqual([expect.stringMatching(/signs "text\/plain", which is no statement/)]);
  await write("application/vnd.in-toto+json", "[]");
  expect(await signed.verify()).toEqual([expect.stringMatching(/signs what cannot be read/)]);
});

test.each([
  ["no JSON", "{"],
  ["another kind of bundle", '{"mediaType":"x"}'],
  ["nothing", ""],
])("a signature file with %s is a finding", async (_, text) => {
  await using signed = await withSigned();
  await writeFile(signed.at(signatureName), text);
  expect(await signed.verify()).toEqual([expect.stringMatching(/^model\.sig signature: Cannot read "model\.sig"/)]);
});

test("what OpenSSF's model-signing signed is verified, and found out when it was changed", async () => {
  await using folder = await withTempDir();
  await cp(join(fixtures, "signed"), folder.path, { recursive: true });
  const trusted = { key: await readPublicKey(join(fixtures, "public.pem")), name: "public.pem" };
  expect(await verifySignature(folder.path, trusted, new Map())).toEqual([]);
  await writeFile(join(folder.path, "config.json"), "hallo\n");
  expect(await verifySignature(folder.path, trusted, new Map())).toMatchObject([
    { file: "config.json", kind: "digest" },
  ]);
});
