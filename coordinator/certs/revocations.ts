import "./reflect-metadata.js";
import * as x509 from "@peculiar/x509";
import { type Authority, importSigningKey, signatureAlgorithm } from "./authority.js";

/** A certificate that an authority takes back. */
export interface Revoked {
  /** Hexadecimal. */
  readonly serial: string;
  readonly on: Date;
}

/** CRL number (RFC 5280, 5.2.3): the seconds since 1970, so that each list has a higher one than those before it. */
const crlNumber = "2.5.29.20";
/** RFC 7468, section 7; the library calls it otherwise, which OpenSSL does not read. */
const pemTag = "X509 CRL";

/**
 * A revocation list in PEM (RFC 5280, section 5). It counts as long as the authority: a list is made when there is something new
 * to say, and one that nobody made in time should lock nobody out.
 */
export async function signRevocations(authority: Authority, revoked: readonly Revoked[], now: Date): Promise<string> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const list = await x509.X509CrlGenerator.create({
    issuer: issuer.subject,
    thisUpdate: now,
    nextUpdate: issuer.notAfter,
    signingAlgorithm: signatureAlgorithm,
    signingKey: await importSigningKey(authority.key),
    entries: revoked.map(({ serial, on }) => ({ serialNumber: serial, revocationDate: on })),
    extensions: [
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      new x509.Extension(crlNumber, false, derInteger(Math.floor(now.getTime() / 1_000))),
    ],
  });
  return `${x509.PemConverter.encode(list.rawData, pemTag)}\n`;
}

/** Of a number below 2^47: six bytes, the first of which is below 128. */
function derInteger(value: number): Buffer {
  const content = Buffer.alloc(6);
  content.writeUIntBE(value, 0, 6);
  const first = content.findIndex((byte, index) => byte !== 0 || (content[index + 1] ?? 0x80) >= 0x80);
  const minimal = content.subarray(first);
  return Buffer.concat([Buffer.from([0x02, minimal.length]), minimal]);
}
