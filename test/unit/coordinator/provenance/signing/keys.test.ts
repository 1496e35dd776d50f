import { generateKeyPairSync } from "node:crypto";
import { readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  isOpenToAll,
  keyId,
  makeKeyPair,
  readPrivateKey,
  readPublicKey,
} from "../../../../../coordinator/provenance/signing/keys.js";
import { withTempDir } from "../../../../support/checkpoints.js";

test("makeKeyPair() makes a pair that belongs together, for its owner alone, and overwrites none", async () => {
  await using dir = await withTempDir();
  const { privateFile, publicFile, id } = await makeKeyPair(dir.path);
  expect(keyId(await readPrivateKey(privateFile, undefined))).toBe(id);
  expect(keyId(await readPublicKey(publicFile))).toBe(id);
  expect((await stat(privateFile)).mode & 0o777).toBe(0o600);
  await expect(makeKeyPair(dir.path)).rejects.toMatchObject({
    code: "output_refused",
    message: expect.stringContaining("keys are not overwritten"),
  });
});

test("makeKeyPair() makes its folder, leaves no half of a pair, and keeps out of outputs", async () => {
  await using dir = await withTempDir();
  const { publicFile } = await makeKeyPair(join(dir.path, "new", "keys"));
  await rm(publicFile);
  await expect(makeKeyPair(join(dir.path, "new", "keys"))).rejects.toThrow(/keys are not overwritten$/);
  expect(await readdir(join(dir.path, "new", "keys"))).toEqual(["amalgam-key.pem"]);
  await writeFile(join(dir.path, "amalgam.json"), "{}");
  await expect(makeKeyPair(dir.path)).rejects.toThrow(/it would be in an output/);
});

test("isOpenToAll() is about everybody's right to read", async () => {
  await using dir = await withTempDir();
  const { privateFile, publicFile } = await makeKeyPair(join(dir.path, "keys"));
  expect([await isOpenToAll(privateFile), await isOpenToAll(publicFile)]).toEqual([false, true]);
});

test("an encrypted key opens with its passphrase, and errors say neither it nor the key", async () => {
  await using dir = await withTempDir();
  const { privateKey } = generateKeyPairSync("ed25519");
  const file = join(dir.path, "key.pem");
  const pem = privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "tulip" });
  await writeFile(file, pem);
  expect(keyId(await readPrivateKey(file, "tulip"))).toBe(keyId(privateKey));
  await expect(readPrivateKey(file, undefined)).rejects.toThrow(
    /it is encrypted: put its passphrase into AMALGAM_SIGN_PASSPHRASE$/,
  );
  await expect(readPublicKey(file)).rejects.toThrow(/it is an encrypted private key, name the public one$/);
  const wrong: unknown = await readPrivateKey(file, "rose").catch((error: unknown) => error);
  expect(wrong).toMatchObject({ code: "usage", message: expect.stringMatching(/its passphrase is not that in/) });
  expect(String(wrong)).not.toMatch(/rose|tulip/);
});

test("what cannot sign or verify is refused by name", async () => {
  await using dir = await withTempDir();
  const file = join(dir.path, "key.pem");
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = (key: typeof rsa.privateKey, type: "pkcs8" | "spki"): string | Buffer =>
    key.export({ type, format: "pem" });
  const { publicKey } = generateKeyPairSync("ed25519");
  for (const [content, message] of [
    ["", /it is no private key in PEM$/],
    [pem(rsa.privateKey, "pkcs8"), /it is of kind "rsa", take an ECDSA key/],
    [pem(publicKey, "spki"), /it holds a public key, and signing takes the private one$/],
  ] as const) {
    await writeFile(file, content);
    await expect(readPrivateKey(file, undefined)).rejects.toThrow(message);
  }
  await writeFile(file, "x");
  await expect(readPublicKey(file)).rejects.toThrow(/it is no public key in PEM$/);
  await expect(readPublicKey(join(dir.path, "none"))).rejects.toThrow(/^Cannot read key .* it does not exist$/);
});
