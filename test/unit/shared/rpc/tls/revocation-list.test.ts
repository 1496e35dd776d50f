import "../../../../../coordinator/certs/reflect-metadata.js";
import { X509Certificate } from "node:crypto";
import { Extension, PemConverter, X509Crl, X509CrlGenerator } from "@peculiar/x509";
import { expect, test } from "vitest";
import {
  type Authority,
  createAuthority,
  importSigningKey,
  issue,
  signatureAlgorithm,
  validFor,
} from "../../../../../coordinator/certs/authority.js";
import { signRevocations } from "../../../../../coordinator/certs/revocations.js";
import { AmalgamError } from "../../../../../shared/errors.js";
import { parseRevocations } from "../../../../../shared/rpc/tls/revocation-list.js";

const now = new Date("2026-05-04T03:02:01Z");
const authority = await createAuthority("ours", validFor(30));
const successor = await createAuthority("ours", validFor(30));
const subject = { name: "a", roles: ["agent"] as const, hosts: ["h"] };

async function certificateOf(signer: Authority): Promise<X509Certificate> {
  return new X509Certificate((await issue(signer, subject, validFor(1))).certificate);
}
const parse = (pem: string, ...authorities: readonly Authority[]) =>
  parseRevocations(Buffer.from(pem), Buffer.from(authorities.map(({ certificate }) => certificate).join("")), '"l"');
const derOf = (pem: string): Buffer => Buffer.from(PemConverter.decode(pem)[0] ?? new ArrayBuffer(0));
const pemOf = (der: Buffer): string => PemConverter.encode(Uint8Array.from(der), "X509 CRL");

/** A list with an extension of the list, or of its one entry. */
async function withExtension(oid: string, place: "list" | "entry" | "no date"): Promise<string> {
  const extensions = [new Extension(oid, true, Buffer.from([0x02, 0x01, 0x01]))];
  const list = await X509CrlGenerator.create({
    issuer: "CN=ours",
    ...(place !== "no date" && { nextUpdate: now }),
    signingAlgorithm: signatureAlgorithm,
    signingKey: await importSigningKey(authority.key),
    entries: [{ serialNumber: "0123456789", ...(place === "entry" && { extensions }) }],
    ...(place === "list" && { extensions }),
  });
  return pemOf(Buffer.from(list.rawData));
}

test("says since when a certificate does not count, whatever its serial number begins with", async () => {
  const [one, other] = [await certificateOf(authority), await certificateOf(authority)];
  const serials = [one.serialNumber, "00F1E2D3C4", "0012345678"];
  const pem = await signRevocations(
    authority,
    serials.map((serial) => ({ serial, on: now })),
    now,
  );
  const found = parse(pem, authority);
  expect([found.revokedOn(one), found.revokedOn(other), found.entries.length]).toEqual([now, undefined, 3]);
  expect(found.nextUpdate).toEqual(new Date(new X509Certificate(authority.certificate).validTo));
  expect(found.entries).toEqual(serials.map((serial) => [serial.replace(/^0+/, ""), now]));
});

test("a list is of its authority's certificates, not of those of one with the same name", async () => {
  const [old, next] = [await certificateOf(authority), await certificateOf(successor)];
  const revoke = (signer: Authority) =>
    signRevocations(
      signer,
      [old, next].map(({ serialNumber }) => ({ serial: serialNumber, on: now })),
      now,
    );
  const first = parse(await revoke(authority), authority, successor);
  expect([first.revokedOn(old), first.revokedOn(next)]).toEqual([now, undefined]);
  const both = parse(`${await revoke(authority)}${await revoke(successor)}`, authority, successor);
  expect([both.revokedOn(old), both.revokedOn(next)]).toEqual([now, now]);
});

test("reads what OpenSSL wrote: RSA, a place of publication that is critical, reasons", () => {
  const { entries, nextUpdate } = parseRevocations(Buffer.from(opensslList), Buffer.from(opensslAuthority), '"l"');
  expect([entries, nextUpdate?.toISOString()]).toEqual([
    [["F1E2D3", new Date("2026-01-01")]],
    "2036-11-18T21:41:00.000Z",
  ]);
});

test.each<[string, () => Promise<string>, RegExp]>([
  ["no list", async () => authority.certificate, /it is not one in PEM, which begins with -----BEGIN X509 CRL-----$/],
  ["half a file", async () => (await signRevocations(authority, [], now)).slice(0, 120), /it breaks off$/],
  [
    "half a list",
    async () => pemOf(derOf(await signRevocations(authority, [], now)).subarray(0, 100)),
    /it is not whole, or something else$/,
  ],
  [
    "another authority's",
    () => signRevocations(successor, [], now),
    /it is signed by none of the authorities that we trust/,
  ],
  [
    "one that was changed",
    async () => {
      const der = derOf(await signRevocations(authority, [{ serial: "1122334455", on: now }], now));
      der[der.indexOf(Buffer.from("1122334455", "hex"))] = 0x12;
      return pemOf(der);
    },
    /it is signed by none of the authorities that we trust/,
  ],
  [
    "a delta",
    () => withExtension("2.5.29.27", "list"),
    /it has critical extension 2\.5\.29\.27, .* give a complete list$/,
  ],
  // The library would read it as an empty one.
  [
    "without a date for the next",
    () => withExtension("2.5.29.29", "no date"),
    /when its successor comes \(nextUpdate\)$/,
  ],
  ["of several issuers", () => withExtension("2.5.29.29", "entry"), /an entry has critical extension 2\.5\.29\.29/],
  [
    "a second one that is broken",
    async () => `${await signRevocations(authority, [], now)}${pemOf(Buffer.from("3003020101", "hex"))}`,
    /number 2 of 2: it is not whole, or something else$/,
  ],
  [
    "two lists in one part of the file",
    async () => pemOf(Buffer.concat([derOf(await signRevocations(authority, [], now)), Buffer.of(5, 0)])),
    /something follows its end$/,
  ],
])("%s is refused", async (_, make, complaint) => {
  const pem = await make();
  expect(() => parse(pem, authority)).toThrow(complaint);
});

test("whatever becomes of a list, it is refused in words", async () => {
  const der = derOf(await signRevocations(authority, [{ serial: "1122334455", on: now }], now));
  for (let at = 0; at < der.length; at += 1) {
    const spoiled = Buffer.from(der);
    spoiled[at] = 0xff - (spoiled[at] ?? 0);
    try {
      // What holds no signed byte may be other than it was: that is the same list.
      expect(parse(pemOf(spoiled), authority).entries).toHaveLength(1);
    } catch (error) {
      expect(error).toBeInstanceOf(AmalgamError);
    }
  }
  expect(new X509Crl(Uint8Array.from(der)).entries).toHaveLength(1);
});

/** Of `openssl ca -gencrl`, OpenSSL 3.0. */
const opensslList = `-----BEGIN X509 CRL-----
MIIB1zCBwAIBATANBgkqhkiG9w0BAQsFADATMREwDwYDVQQDDAh0aGVpciBDQRcN
MjYxMTIxMjE0MTAwWhcNMzYxMTE4MjE0MTAwWjAlMCMCBADx4tMXDTI2MDEwMTAw
MDAwMFowDDAKBgNVHRUEAwoBAaBSMFAwHwYDVR0jBBgwFoAUoiHVcwq6WFAKNj/8
fWFYqBSavMwwIAYDVR0cAQH/BBYwFKASoBCGDmh0dHA6Ly94L3kuY3JsMAsGA1Ud
FAQEAgIQADANBgkqhkiG9w0BAQsFAAOCAQEAhnyqrCUcLzpteh69tlftFjqpT6h/
tdPEEp9UaxsKNEgsYlVLaNPFSIT7fBE63bZS4OnlVsb4jqGdNgKCVUOGvjhMyRt4
Cc/4TRX2Xk1DUrLwU0lFUcOggCYTVYJkh8Opyhn+FZZDDTCqnStD4DrEsp1m774v
iKi4Z0ECFkb+xLGuQtlKOhnNUj8t2rmeqtjTkh2YsCp3SXbZJTxU1Lq2laXqxLKv
pEL0kb5r0zH4/eINZh6XafS2wOwT5U9l8C+Msehby835hE3ztPlAlJEfZLUW5iRW
dacxgomSIU3TD/s+L7Wc/7b5K9SmJf7CK1doSM/CYsPvWUj4En60tk3i5Q==
-----END X509 CRL-----
`;
const opensslAuthority = `-----BEGIN CERTIFICATE-----
MIIDCTCCAfGgAwIBAgIUQ2uUwtrw6NZjvlEuocg3sP0JpNYwDQYJKoZIhvcNAQEL
BQAwEzERMA8GA1UEAwwIdGhlaXIgQ0EwIBcNMjYxMTIxMjE0MTAwWhgPMjA1NDA0
MDcyMTQxMDBaMBMxETAPBgNVBAMMCHRoZWlyIENBMIIBIjANBgkqhkiG9w0BAQEF
AAOCAQ8AMIIBCgKCAQEAvFgeDZm2nEYEliZV3Wd/yGEGopD53eRtmkxA1WebRdYy
M4UkgSYJsqYfFJdqZEZVdPErc/+eTUIcKf1aRVxS/YBnoIvmvbhFCmEAlM8cwhsT
Hk3IqnrU14rpd/OU2b9/2ydlpKPMaKrC8sJ9rv/qVsAQ/u+XVR1YTZq/06RD8qFj
NdZ+8dJJPq367UEoToh+izgkpqWqOYMPx+9DOSxAdkBDbkF1wH7ma1c6LdEezXYu
H3bAQrcBIXYAY+eMv/dpw9G6yEN7AcM1atwFuRJt/d2HVhDj0PE7iWXman7yiwrQ
NubrZshkIWZNsDXh1GenjC7TTcmwWXZ3rOc3h4NfwwIDAQABo1MwUTAdBgNVHQ4E
FgQUoiHVcwq6WFAKNj/8fWFYqBSavMwwHwYDVR0jBBgwFoAUoiHVcwq6WFAKNj/8
fWFYqBSavMwwDwYDVR0TAQH/BAUwAwEB/zANBgkqhkiG9w0BAQsFAAOCAQEArEvq
SYBsvJ3xHNa2R2uyN7vbLR/VGBj7pZvZvBTye62h/tyi+Q3vuQ4Ap0V7qHZ71raD
/tHcr8heUQWmSJYNRYaKom5NuMGAxa58YAMhdnhWlGpWBRj0f2G9xzuSHo0noElJ
uLPxxOIPFuB8jBotf5fyf+vRteiavZROmn7vchhvmNECxEE0P4Yv+N/AvU0Eja1/
5DYlCJALun1/SZbC/ZLaMCRfI5GNNhHPFOFOtSsWEoYW3PSfCpuBiVtl11gWcwtA
blqX8yiPmFb1uUkuQfYsbIoj89+wgoTeuFNXJrg9Wk56HxHFAuSwtp/+ajbqe6uD
XQEwoUzA6rzh59rTiw==
-----END CERTIFICATE-----
`;
