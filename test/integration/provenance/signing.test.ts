import { execFileSync, spawnSync } from "node:child_process";
import { chmod, cp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { preAuthenticationEncoding } from "../../../coordinator/provenance/signing/dsse.js";
import { makeKeyPair } from "../../../coordinator/provenance/signing/keys.js";
import { withTempDir } from "../../support/checkpoints.js";
import { mergeOnce } from "../../support/made-outputs.js";

// Who signs an output, and who finds out what was done to it since.

let keys: Awaited<ReturnType<typeof withTempDir>>;
let made: Awaited<ReturnType<typeof mergeOnce>>;

beforeAll(async () => {
  keys = await withTempDir();
  made = await mergeOnce("--sign", (await makeKeyPair(keys.path)).privateFile);
});

afterAll(async () => {
  await made[Symbol.asyncDispose]();
  await keys[Symbol.asyncDispose]();
});

async function withMerge() {
  const work = await made.copy();
  await cp(keys.path, work.path, { recursive: true });
  const merge = (...words: readonly string[]) =>
    work.run("merge", work.at("linear.yaml"), work.at("out"), "--slots", "1", ...words);
  const verify = (key: string) => work.run("verify", work.at("out"), "--key", work.at(key));
  return { ...work, merge, verify };
}

test("an output is signed as it is made, and every file of it is under the signature", async () => {
  await using work = await withMerge();
  const sound = await work.verify("amalgam-key.pub.pem");
  expect([sound.code, sound.stdout]).toEqual([
    0,
    expect.stringMatching(/^out: sound, 2 files, .*, signed by this key$/m),
  ]);
  expect((await work.run("verify", work.at("out"))).stdout).toContain("name the public key with --key");

  for (const name of ["amalgam.json", "README.md"]) {
    const before = await readFile(work.at("out", name), "utf8");
    await writeFile(work.at("out", name), `${before} `);
    const altered = await work.verify("amalgam-key.pub.pem");
    expect([altered.code, altered.stdout]).toEqual([
      1,
      expect.stringContaining(`"${name}" was changed after it was signed`),
    ]);
    await writeFile(work.at("out", name), before);
  }
  await work.write("out/more.bin", "x");
  const added = await work.verify("amalgam-key.pub.pem");
  expect([added.code, added.stdout]).toEqual([
    1,
    expect.stringContaining('"more.bin" is not among the files that were signed'),
  ]);
  await rm(work.at("out", "model.sig"));
  const unsigned = await work.verify("amalgam-key.pub.pem");
  expect([unsigned.code, unsigned.stdout]).toEqual([
    1,
    expect.stringContaining('"model.sig" is missing: the output is not signed'),
  ]);
});

test("an output that is complete is signed afterwards, and a damaged one never", async () => {
  await using work = await withMerge();
  await rm(work.at("out", "model.sig"));
  const config = await readFile(work.at("out", "config.json"), "utf8");
  await work.write("out/config.json", "{}");
  const damaged = await work.run("sign", work.at("out"), "--key", work.at("amalgam-key.pem"));
  expect([damaged.code, damaged.stderr]).toEqual([
    2,
    expect.stringMatching(/^Cannot sign "out": "config\.json" has 2 bytes/),
  ]);
  await work.write("out/config.json", config);
  await work.write("out/.model.sig.left-by-a-crash", "");
  expect((await work.merge("--sign", work.at("amalgam-key.pem"))).stdout).toContain("holds this merge already");
  expect((await work.verify("amalgam-key.pub.pem")).code).toBe(0);
});

test("a key that cannot sign is told before anything is merged", async () => {
  await using work = await withMerge();
  await work.write("key.pem", "x");
  const { code, stderr, stdout } = await work.merge("--sign", work.at("key.pem"));
  expect([code, stdout, stderr]).toEqual([2, "", 'Cannot sign with "key.pem": it is no private key in PEM\n']);
  const neither = await work.run("sign", work.at("out"));
  expect([neither.code, neither.stderr]).toEqual([2, expect.stringContaining("Name the private key with --key")]);
});

test("a private key is kept out of outputs, which others get to see", async () => {
  await using work = await withMerge();
  const made = await work.run("sign", work.at("out"), "--new-key", work.at("out"));
  expect([made.code, made.stderr]).toEqual([2, expect.stringContaining("it would be in an output")]);
  const fresh = await work.run("sign", "--new-key", work.at("new", "keys"));
  expect(fresh.stdout).toBe(
    "new/keys/amalgam-key.pem: keep it to yourself\nnew/keys/amalgam-key.pub.pem: give it to whoever verifies\n",
  );
  await cp(work.at("new", "keys", "amalgam-key.pem"), work.at("out", "key.pem"));
  const inside = await work.run("sign", work.at("out"), "--key", work.at("out", "key.pem"));
  expect([inside.code, inside.stderr]).toEqual([2, expect.stringContaining('the private key "out/key.pem" is in it')]);
  await rename(work.at("out", "key.pem"), work.at("key.pem"));
  await chmod(work.at("key.pem"), 0o644);
  const open = await work.run("sign", work.at("out"), "--key", work.at("key.pem"));
  expect([open.code, open.stderr]).toEqual([
    0,
    expect.stringContaining('can read the private key "key.pem": chmod 600'),
  ]);
});

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

test.skipIf(!hasOpenssl)("a key of OpenSSL's signs, and OpenSSL verifies (skipped where there is none)", async () => {
  await using work = await withMerge();
  execFileSync("openssl", ["genpkey", "-algorithm", "ed25519", "-out", work.at("ed.pem")]);
  execFileSync("openssl", ["pkey", "-in", work.at("ed.pem"), "-pubout", "-out", work.at("ed.pub.pem")]);
  await work.run("sign", work.at("out"), "--key", work.at("ed.pem"));
  expect((await work.verify("ed.pub.pem")).code).toBe(0);
  const bundle = JSON.parse(await readFile(work.at("out", "model.sig"), "utf8")) as {
    dsseEnvelope: { payload: string; payloadType: string; signatures: [{ sig: string }] };
  };
  const { payload, payloadType, signatures } = bundle.dsseEnvelope;
  await writeFile(work.at("signed"), preAuthenticationEncoding(payloadType, Buffer.from(payload, "base64")));
  await writeFile(work.at("sig"), Buffer.from(signatures[0].sig, "base64"));
  const files = ["-inkey", work.at("ed.pub.pem"), "-in", work.at("signed"), "-sigfile", work.at("sig")];
  const verified = spawnSync("openssl", ["pkeyutl", "-verify", "-pubin", "-rawin", ...files], { encoding: "utf8" });
  expect(verified.stdout.trim()).toBe("Signature Verified Successfully");
});
