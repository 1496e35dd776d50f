import { verify, type X509Certificate } from "node:crypto";
import { createRequire } from "node:module";
import type { CertificateList, Extension, Time } from "@peculiar/asn1-x509";
import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import { parseCertificates } from "./identity.js";

const require = createRequire(import.meta.url);

/** What authorities take back before it ends by its date. */
export interface Revocations {
  /** Since when the certificate does not count; undefined: it does. */
  readonly revokedOn: (certificate: X509Certificate) => Date | undefined;
  /** When the first of the lists was to have a successor; undefined: there is none. */
  readonly nextUpdate: Date | undefined;
  /** Of all lists together, in their order: serial numbers in hexadecimal without zeros before them, and since when. */
  readonly entries: readonly (readonly [serial: string, on: Date])[];
}

/** Without a list. */
export const noRevocations: Revocations = { revokedOn: () => undefined, nextUpdate: undefined, entries: [] };

interface RevocationList {
  readonly authority: X509Certificate;
  /** By serial number. */
  readonly revoked: ReadonlyMap<string, Date>;
  readonly nextUpdate: Date;
}

/**
 * Reads certificate revocation lists (RFC 5280, section 5) in PEM, one for each authority that takes something back. `what` is
 * for messages. Fails with `usage` for a list that is broken, that none of the authorities in `ca` signed, or that is but a part
 * of one (a delta, or of several issuers): nobody is let in by a list that was not understood.
 */
export function parseRevocations(pem: Buffer, ca: Buffer, what: string): Revocations {
  const refused = (problem: string, cause?: unknown): AmalgamError =>
    new AmalgamError("usage", `Cannot use revocation list ${what}: ${problem}`, { cause });
  const authorities = parseCertificates(ca, "authorities");
  const blocks =
    Buffer.from(pem)
      .toString()
      .match(/-----BEGIN X509 CRL-----[^-]*(-----END X509 CRL-----)?/g) ?? [];
  if (blocks.length === 0) throw refused("it is not one in PEM, which begins with -----BEGIN X509 CRL-----");
  const lists = blocks.map((block, index): RevocationList => {
    const place = blocks.length === 1 ? "" : `number ${index + 1} of ${blocks.length}: `;
    if (!block.endsWith("-----END X509 CRL-----")) throw refused(`${place}it breaks off`);
    const der = Buffer.from(block.replace(/-----[^-]*-----/g, ""), "base64");
    try {
      return parseList(der, authorities);
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      throw refused(`${place}${cause.message}`, cause);
    }
  });
  return {
    revokedOn: (certificate) => {
      const serial = canonical(certificate.serialNumber);
      for (const { authority, revoked } of lists) {
        const date = revoked.get(serial);
        // Name and key of the issuer: authorities that follow one another may have the same name.
        if (date !== undefined && certificate.checkIssued(authority)) return date;
      }
      return undefined;
    },
    nextUpdate: lists.map(({ nextUpdate }) => nextUpdate).reduce((least, one) => (least < one ? least : one)),
    entries: lists.flatMap(({ revoked }) => [...revoked]),
  };
}

function parseList(der: Buffer, authorities: readonly X509Certificate[]): RevocationList {
  const { tbsCertListRaw: signed, tbsCertList: list, signature } = decode(der);
  if (signed === undefined || !der.subarray(-signature.byteLength).equals(new Uint8Array(signature))) {
    throw new RangeError("something follows its end");
  }
  const { algorithm } = list.signature;
  const hash = hashes.get(algorithm);
  if (hash === undefined) {
    throw new RangeError(`it is signed by algorithm ${algorithm}, which does not count here`);
  }
  const authority = authorities.find(({ publicKey }) => isSigned(hash, Buffer.from(signed), publicKey, signature));
  if (authority === undefined) {
    throw new RangeError(
      "it is signed by none of the authorities that we trust; put its own one's certificate to them",
    );
  }
  // Without it, RFC 5280 asks for it, the library reads neither entries nor extensions, and says nothing.
  if (list.nextUpdate === undefined) throw new RangeError("it does not say when its successor comes (nextUpdate)");
  assertUnderstood(list.crlExtensions, "it");
  const revoked = new Map<string, Date>();
  for (const { userCertificate, revocationDate, crlEntryExtensions } of list.revokedCertificates ?? []) {
    assertUnderstood(crlEntryExtensions, "an entry");
    revoked.set(canonical(Buffer.from(userCertificate).toString("hex")), timeIn(revocationDate));
  }
  return { authority, revoked, nextUpdate: timeIn(list.nextUpdate) };
}

function decode(der: Buffer): CertificateList {
  // Loaded where there is a list: that takes longer than all else at the start of an agent.
  const { AsnConvert } = require("@peculiar/asn1-schema") as typeof import("@peculiar/asn1-schema");
  const { CertificateList } = require("@peculiar/asn1-x509") as typeof import("@peculiar/asn1-x509");
  try {
    // A value takes two bytes at least.
    return AsnConvert.parse(der, CertificateList, { berOptions: { maxNodes: der.length / 2 } });
  } catch (cause) {
    throw new RangeError("it is not whole, or something else", { cause });
  }
}

function timeIn(time: Time): Date {
  const date = time.getTime();
  if (Number.isNaN(date.getTime())) throw new RangeError("a time is none of RFC 5280's");
  return date;
}

/** What is critical changes what a list means: a delta, an entry of another issuer's. */
function assertUnderstood(extensions: readonly Extension[] = [], whose: string): void {
  const strange = extensions.find(({ critical, extnID }) => critical && extnID !== issuingDistributionPoint);
  if (strange === undefined) return;
  throw new RangeError(
    `${whose} has critical extension ${strange.extnID}, which is not understood here; give a complete list`,
  );
}

/** Where the list is published, which some authorities mark as critical. That a list is for users' certificates alone suits us. */
const issuingDistributionPoint = "2.5.29.28";

/** Signature algorithms by their identifiers (RFC 5758, 4055, 8410), without SHA-1. Null: the algorithm has its own hash. */
const hashes: ReadonlyMap<string, string | null> = new Map([
  ["1.2.840.10045.4.3.2", "sha256"],
  ["1.2.840.10045.4.3.3", "sha384"],
  ["1.2.840.10045.4.3.4", "sha512"],
  ["1.2.840.113549.1.1.11", "sha256"],
  ["1.2.840.113549.1.1.12", "sha384"],
  ["1.2.840.113549.1.1.13", "sha512"],
  ["1.3.101.112", null],
  ["1.3.101.113", null],
]);

function isSigned(
  hash: string | null,
  signed: Buffer,
  key: X509Certificate["publicKey"],
  signature: ArrayBuffer,
): boolean {
  try {
    return verify(hash, signed, key, new Uint8Array(signature));
  } catch {
    // A key of another kind than the signature.
    return false;
  }
}

/** Hexadecimal as `X509Certificate.serialNumber` has it, whatever zeros stand before it. */
function canonical(serial: string): string {
  return serial.toUpperCase().replace(/^0+(?=.)/, "");
}

/** For messages: which certificate, since when, and what to do. */
export function describeRevocation(
  whose: string,
  { serialNumber: serial }: X509Certificate,
  on: Date,
  file: string | undefined,
): string {
  const list = file === undefined ? "" : ` as ${quote(file)} says`;
  return `${whose}, serial ${serial}, is revoked since ${on.toISOString().slice(0, 10)}${list}; its holder takes a new one with a new key, as amalgam certs --renew makes`;
}
