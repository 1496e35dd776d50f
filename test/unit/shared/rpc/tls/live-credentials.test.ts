import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type Validity, validFor } from "../../../../../coordinator/certs/authority.js";
import { liveCredentials } from "../../../../../shared/rpc/security.js";
import { LiveCredentials, type TlsNotice } from "../../../../../shared/rpc/tls/live-credentials.js";
import { withTempDir } from "../../../../support/checkpoints.js";
import { type Certificates, TestAuthority } from "../../../../support/cluster/certificates.js";

const read = ({ ca, certificate, key }: Certificates) => ({
  ca: readFileSync(ca),
  certificate: readFileSync(certificate),
  key: readFileSync(key),
});

/** Credentials over files of their own, and what was told of them. */
async function setUp(validity: Validity = validFor(30)) {
  const folder = await withTempDir();
  const authority = await TestAuthority.make(folder.path);
  const files = await authority.issue("n", { validity });
  const live = new LiveCredentials(read(files), files);
  const notices: TlsNotice[] = [];
  const stop = live.onNotice((notice) => notices.push(notice));
  return {
    ...{ authority, files, live, notices },
    [Symbol.asyncDispose]: () => {
      stop();
      return folder[Symbol.asyncDispose]();
    },
  };
}

test("files that were renewed are used, and it is said once", async () => {
  await using parts = await setUp();
  const { authority, files, live, notices } = parts;
  let changes = 0;
  using _ = { [Symbol.dispose]: live.onChange(() => (changes += 1)) };
  const before = live.identity.serial;
  await live.reload();
  expect([changes, notices.length]).toEqual([0, 0]);
  await authority.issue("n", { validity: validFor(30) });
  await live.reload();
  await live.reload();
  expect(live.identity.serial).not.toBe(before);
  expect(live.current).toEqual(read(files));
  expect([changes, notices.map(({ type }) => type)]).toEqual([1, ["tls reloaded"]]);
});

test.each<[string, (files: Certificates, other: Certificates) => void, RegExp]>([
  [
    "a key of another certificate",
    ({ key }, other) => writeFileSync(key, readFileSync(other.key)),
    /the key is of another/,
  ],
  [
    "half a certificate",
    ({ certificate }) => writeFileSync(certificate, "-----BEGIN"),
    /it is not a certificate in PEM/,
  ],
  [
    "a bundle that breaks off",
    ({ ca }) => writeFileSync(ca, `${readFileSync(ca)}${String(readFileSync(ca)).slice(0, 200)}`),
    /Cannot read authority ".*ca\.pem": one of its 2 certificates is not whole/,
  ],
  [
    "a key with a passphrase",
    ({ key }) => {
      const lock = { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" } as const;
      writeFileSync(key, createPrivateKey(readFileSync(key)).export(lock));
    },
    /the key is encrypted; give it without a passphrase/,
  ],
  [
    "somebody else's certificate",
    ({ certificate, key }, other) => {
      writeFileSync(certificate, readFileSync(other.certificate));
      writeFileSync(key, readFileSync(other.key));
    },
    /it is of "other" \(no role\), and this is "n" \(no role\); start anew to be somebody else/,
  ],
  ["an authority that is none", ({ ca }) => writeFileSync(ca, "?"), /Cannot read authority ".*ca\.pem"/],
  ["a key that is too long", ({ key }) => writeFileSync(key, Buffer.alloc(2 << 20)), /at most 1048576 are allowed/],
])("%s is not used, which is told at the second look", async (_, spoil, complaint) => {
  await using parts = await setUp();
  const { authority, files, live, notices } = parts;
  const before = live.current;
  spoil(files, await authority.issue("other"));
  await live.reload();
  expect(notices).toEqual([]);
  await live.reload();
  await live.reload();
  expect(live.current).toBe(before);
  expect(notices).toHaveLength(1);
  expect(notices[0]).toMatchObject({ level: "warning", type: "tls kept", message: expect.stringMatching(complaint) });
  await authority.issue("n", { validity: validFor(30) });
  const ca = authority.authority.certificate;
  writeFileSync(files.ca, ca);
  await live.reload();
  expect(live.current).toEqual(read(files));
});

test("a certificate that counts from tomorrow waits for its day", async () => {
  await using parts = await setUp();
  const { authority, live, notices } = parts;
  const before = live.current;
  const tomorrow = new Date(Date.now() + dayMs);
  await authority.issue("n", { validity: { from: tomorrow, to: validFor(30).to } });
  await live.reload();
  await live.reload();
  expect(live.current).toBe(before);
  expect(notices.map(({ message }) => message)).toEqual([
    expect.stringMatching(/it counts from 20\d\d-.*, which is to come; what was read before stays in use$/),
  ]);
});

const dayMs = 86_400_000;

test("a thread that is handed what has expired meanwhile uses what the files hold", async () => {
  await using folder = await withTempDir();
  const authority = await TestAuthority.make(folder.path);
  const old = read(await authority.issue("n", { validity: { from: new Date(0), to: new Date(dayMs) } }));
  const files = await authority.issue("n");
  const live = liveCredentials({ kind: "mutual-tls", ...old, files });
  expect(live?.current).toEqual(read(files));
});

test.each([
  [30, 30, 0],
  [30, 6.9, 1],
  [365, 74, 0],
  [365, 72, 1],
  // Some are renewed every day, and are not worth a word for most of it.
  [1, 0.5, 0],
  [1, 0.19, 1],
])("of %s days, with %s left: %s notices", async (life, left, count) => {
  const to = new Date(Date.now() + left * dayMs);
  await using parts = await setUp({ from: new Date(to.getTime() - life * dayMs), to });
  await parts.live.reload();
  expect(parts.notices.filter(({ type }) => type === "certificate expires")).toHaveLength(count);
});

test("a list of revoked certificates is followed, and one that cannot be believed changes nothing", async () => {
  await using parts = await setUp();
  const { authority, files } = parts;
  const [stolen, sound] = [await authority.issue("stolen"), await authority.issue("sound")];
  const crl = await authority.revoke("list.crl");
  const live = new LiveCredentials({ ...read(files), crl: readFileSync(crl) }, { ...files, crl });
  const notices: TlsNotice[] = [];
  using _ = { [Symbol.dispose]: live.onNotice((notice) => notices.push(notice)) };
  const verdicts = () => [stolen, sound].map(({ certificate }) => live.revocationOf(certificateIn(certificate)));
  expect(verdicts()).toEqual([undefined, undefined]);

  await authority.revoke("list.crl", stolen);
  await live.reload();
  expect(notices.map(({ message }) => message)).toEqual([
    'Uses the new TLS files of "n": a list of 1 revoked certificates',
  ]);
  const revoked = [
    expect.stringMatching(/^its certificate, serial [0-9A-F]{32}, is revoked since 20.* as ".*list\.crl"/),
    undefined,
  ];
  expect(verdicts()).toEqual(revoked);

  writeFileSync(crl, "-----BEGIN X509 CRL-----\nMIHM");
  await live.reload();
  await live.reload();
  expect(notices.at(-1)).toMatchObject({
    type: "tls kept",
    message: expect.stringMatching(/list\.crl": it breaks off; what was read before/),
  });
  expect(verdicts()).toEqual(revoked);
});

test("a list that cannot be believed does not hold up a certificate that is renewed", async () => {
  await using parts = await setUp();
  const { authority, files } = parts;
  const stolen = await authority.issue("stolen");
  const crl = await authority.revoke("list.crl", stolen);
  const live = new LiveCredentials({ ...read(files), crl: readFileSync(crl) }, { ...files, crl });
  const notices: TlsNotice[] = [];
  using _ = { [Symbol.dispose]: live.onNotice((notice) => notices.push(notice)) };
  writeFileSync(crl, "?");
  await authority.issue("n", { validity: validFor(30) });
  for (let look = 0; look < 4; look += 1) await live.reload();
  expect(live.current.certificate).toEqual(readFileSync(files.certificate));
  expect(live.revocationOf(certificateIn(stolen.certificate))).toContain("is revoked since");
  expect(notices.map(({ type }) => type)).toEqual(["tls reloaded", "tls kept"]);
  await authority.revoke("list.crl");
  await live.reload();
  expect(live.revocationOf(certificateIn(stolen.certificate))).toBeUndefined();
});

test("whoever is on the list is told so", async () => {
  await using parts = await setUp();
  const { authority, files } = parts;
  const crl = await authority.revoke("list.crl", files);
  const live = new LiveCredentials({ ...read(files), crl: readFileSync(crl) }, { ...files, crl });
  const notices: TlsNotice[] = [];
  using _ = { [Symbol.dispose]: live.onNotice((notice) => notices.push(notice)) };
  await live.reload();
  expect(notices.map(({ type, message }) => [type, message])).toEqual([
    [
      "certificate revoked",
      expect.stringMatching(/^The certificate of "n" in ".*n\.pem", serial .* is revoked since .*and others refuse it/),
    ],
  ]);
});

function certificateIn(file: string): X509Certificate {
  return new X509Certificate(readFileSync(file));
}
