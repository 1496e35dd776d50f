import { verify, type X509Certificate } from "node:crypto";
import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import { DerReader, derTag, oidOf, timeOf } from "./der.js";
import { parseCertificates } from "./identity.js";

/** What authorities take back before it ends by its date. */
export interface Revocations {
  /** Since when the certificate does not count; undefined: it does. */
  readonly revokedOn: (certificate: X509Certificate) => Date | undefined;
  /** When the first of the lists was to have a successor; undefined: none says so. */
  readonly nextUpdate: Date | undefined;
  /** Certificates on all lists together. */
  readonly size: number;
}

/** Without a list. */
export const noRevocations: Revocations = { revokedOn: () => undefined, nextUpdate: undefined, size: 0 };

interface RevocationList {
  readonly authority: X509Certificate;
  /** By serial number. */
  readonly revoked: ReadonlyMap<string, Date>;
  readonly nextUpdate: Date | undefined;
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
  const updates = lists.flatMap(({ nextUpdate }) => nextUpdate ?? []);
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
    nextUpdate: updates.reduce<Date | undefined>((least, one) => (least && least < one ? least : one), undefined),
    size: lists.reduce((total, { revoked }) => total + revoked.size, 0),
  };
}

function parseList(der: Buffer, authorities: readonly X509Certificate[]): RevocationList {
  const file = new DerReader(der);
  const list = file.enter();
  const signed = list.next(derTag.sequence);
  const algorithm = oidOf(list.enter().next(derTag.oid).content);
  // Its first byte says how many bits of the last one do not count: none.
  const signature = list.next(derTag.bitString).content.subarray(1);
  if (!file.isDone || !list.isDone) throw new RangeError("something follows its end");
  if (!hashes.has(algorithm)) throw new RangeError(`it is signed by algorithm ${algorithm}, which does not count here`);
  const hash = hashes.get(algorithm);
  const authority = authorities.find(({ publicKey }) => isSigned(hash, signed.whole, publicKey, signature));
  if (authority === undefined) {
    throw new RangeError(
      "it is signed by none of the authorities that we trust; put its own one's certificate to them",
    );
  }
  return { authority, ...parseSigned(new DerReader(signed.content)) };
}

function parseSigned(list: DerReader): Pick<RevocationList, "revoked" | "nextUpdate"> {
  list.nextIf(derTag.integer);
  // Algorithm and issuer, which the signature has told, and when it was made.
  list.next(derTag.sequence);
  list.next(derTag.sequence);
  timeOf(list.next(derTag.utcTime, derTag.generalizedTime));
  const next = list.nextIf(derTag.utcTime, derTag.generalizedTime);
  const revoked = new Map<string, Date>();
  const entries = list.nextTag === derTag.sequence ? list.enter() : undefined;
  while (entries?.isDone === false) {
    const entry = entries.enter();
    const serial = canonical(entry.next(derTag.integer).content.toString("hex"));
    revoked.set(serial, timeOf(entry.next(derTag.utcTime, derTag.generalizedTime)));
    if (!entry.isDone) assertUnderstood(entry.enter(), "an entry");
  }
  const extensions = list.nextIf(derTag.extensions);
  if (extensions !== undefined) assertUnderstood(new DerReader(extensions.content).enter(), "it");
  return { revoked, nextUpdate: next && timeOf(next) };
}

/** What is critical changes what a list means: a delta, an entry of another issuer's. */
function assertUnderstood(extensions: DerReader, whose: string): void {
  while (!extensions.isDone) {
    const extension = extensions.enter();
    const oid = oidOf(extension.next(derTag.oid).content);
    const isCritical = extension.nextIf(derTag.boolean)?.content[0] === 0xff;
    if (isCritical && oid !== issuingDistributionPoint) {
      throw new RangeError(
        `${whose} has critical extension ${oid}, which is not understood here; give a complete list`,
      );
    }
  }
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
  hash: string | null | undefined,
  signed: Buffer,
  key: X509Certificate["publicKey"],
  signature: Buffer,
): boolean {
  try {
    return verify(hash, signed, key, signature);
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
export function describeRevocation(serial: string, on: Date, file: string | undefined): string {
  const list = file === undefined ? "" : ` as ${quote(file)} says`;
  return `its certificate, serial ${serial}, is revoked since ${on.toISOString().slice(0, 10)}${list}; its holder takes a new one with a new key, as amalgam certs --renew makes`;
}
