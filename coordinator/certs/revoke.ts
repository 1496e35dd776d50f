import { X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { describeIdentity, identityOf, parseCertificate } from "../../shared/rpc/tls/identity.js";
import { parseRevocations } from "../../shared/rpc/tls/revocation-list.js";
import type { Authority } from "./authority.js";
import { openAuthority, put } from "./files.js";
import { type Revoked, signRevocations } from "./revocations.js";

/** The list of a folder of certificates. */
export const listName = "ca.crl";

export interface RevokedCertificate extends Revoked {
  /** Whose it is, for messages; undefined where only the number is known. */
  readonly whose: string | undefined;
}

export interface RevocationFile {
  readonly crl: string;
  /** In the order of the words. */
  readonly revoked: readonly RevokedCertificate[];
  /** Certificates on the list, with those that were on it before. */
  readonly size: number;
}

/**
 * Puts certificates on the list `ca.crl` in `folder`, which is made if it is missing. Each word is the name of one in the folder, a
 * file, or a serial number in hexadecimal, as of a certificate that is gone. Fails with `usage`, and changes nothing, for what is
 * none of these or of another authority. One that is on the list stays there with its date.
 */
export async function revokeCertificates(
  folder: string,
  words: readonly string[],
  now: Date = new Date(),
): Promise<RevocationFile> {
  const authority = await openAuthority(join(folder, "ca.pem"), join(folder, "ca.key"));
  const crl = join(folder, listName);
  const before = existsSync(crl) ? await readList(crl, authority) : [];
  const revoked: RevokedCertificate[] = [];
  for (const word of words) {
    const { serial, whose } = await find(folder, word, authority);
    const known = [...before, ...revoked].find((one) => isSameSerial(one.serial, serial));
    revoked.push({ serial, whose, on: known?.on ?? now });
  }
  const added = revoked.filter(({ serial }, index) => {
    const first = revoked.findIndex((one) => isSameSerial(one.serial, serial));
    return first === index && !before.some((one) => isSameSerial(one.serial, serial));
  });
  const list = [...before, ...added];
  await put(crl, await signRevocations(authority, list, now), 0o644);
  return { crl, revoked, size: list.length };
}

async function readList(file: string, { certificate }: Authority): Promise<readonly Revoked[]> {
  const pem = await readFile(file);
  // A list of somebody else's, or a broken one, is not to be lost.
  const { entries } = parseRevocations(pem, Buffer.from(certificate), quote(file));
  return entries.map(([serial, on]) => ({ serial: serial.padStart(2 * Math.ceil(serial.length / 2), "0"), on }));
}

async function find(
  folder: string,
  word: string,
  authority: Authority,
): Promise<{ readonly serial: string; readonly whose: string | undefined }> {
  const file = [join(folder, `${word}.pem`), word].find((path) => existsSync(path));
  if (file === undefined) {
    if (/^([0-9a-f]{2}){4,20}$/i.test(word)) return { serial: word.toUpperCase(), whose: undefined };
    throw new AmalgamError(
      "usage",
      `Cannot revoke ${quote(word)}: there is no ${quote(`${word}.pem`)} in ${quote(folder)}, no such file, and it is no serial number, which has 8 to 40 hexadecimal digits`,
    );
  }
  const certificate = parseCertificate(await readFile(file), quote(file));
  const problem = whyNot(certificate, authority);
  if (problem !== undefined) throw new AmalgamError("usage", `Cannot revoke ${quote(file)}: ${problem}`);
  return { serial: certificate.serialNumber, whose: describeIdentity(identityOf(certificate)) };
}

function whyNot(certificate: X509Certificate, authority: Authority): string | undefined {
  if (certificate.ca) {
    return "it is an authority's; give every node a new authority's certificate and certificates of it instead";
  }
  const ours = new X509Certificate(authority.certificate);
  const isOurs = certificate.checkIssued(ours) && certificate.verify(ours.publicKey);
  return isOurs ? undefined : "it is of another authority, whose list it belongs on";
}

function isSameSerial(one: string, other: string): boolean {
  return BigInt(`0x${one}`) === BigInt(`0x${other}`);
}
