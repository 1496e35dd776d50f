import { createPrivateKey } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import { describeIdentity, type Identity, identityOf, parseCertificate } from "./identity.js";
import { noRevocations, parseRevocations, type Revocations } from "./revocation-list.js";

/** What one end of a connection shows and whom it trusts. All PEM; `ca` may hold several certificates. */
export interface Credentials {
  readonly ca: Buffer;
  readonly certificate: Buffer;
  readonly key: Buffer;
  /** Revocation lists of authorities in `ca`. Undefined: nothing is revoked. */
  readonly crl?: Buffer | undefined;
}

export interface CredentialFiles {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
  readonly crl?: string | undefined;
}

/** A certificate, its chain and a bundle of authorities are a few kilobytes; a list of 20,000 revoked certificates is a megabyte. */
const maxFileBytes = 1 << 20;

/** Whose certificate it is. Fails with `usage` where the three do not fit together, or the certificate has expired. */
export function identityIn({ ca, certificate, key }: Credentials, files: CredentialFiles | undefined): Identity {
  const named = (what: string, file: string | undefined): string => (file ? `${what} ${quote(file)}` : what);
  const own = parseCertificate(certificate, named("certificate", files?.certificate));
  parseCertificate(ca, named("authority", files?.ca));
  const pair = `${named("key", files?.key)} with ${named("certificate", files?.certificate)}`;
  let fits = false;
  try {
    fits = own.checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    const problem = /ENCRYPTED/.test(String(key))
      ? "the key is encrypted; give it without a passphrase, readable to this user alone"
      : "the key is not a private key in PEM";
    throw new AmalgamError("usage", `Cannot use ${pair}: ${problem}`, { cause });
  }
  if (!fits) throw new AmalgamError("usage", `Cannot use ${pair}: the key is of another certificate`);
  const identity = identityOf(own);
  if (identity.validTo.getTime() <= Date.now()) {
    const expired = `it expired on ${identity.validTo.toISOString()}; renew it, as amalgam certs --renew does`;
    throw new AmalgamError("usage", `Cannot use ${named("certificate", files?.certificate)}: ${expired}`);
  }
  try {
    createSecureContext({ ca, cert: certificate, key });
  } catch (reason) {
    const { message } = AmalgamError.from(reason);
    throw new AmalgamError("usage", `Cannot use ${pair}: ${message}`, { cause: reason });
  }
  return identity;
}

/** Whom the authorities have taken back. Fails with `usage` for a list that cannot be believed. */
export function revocationsIn({ ca, crl }: Credentials, files: CredentialFiles | undefined): Revocations {
  return crl === undefined ? noRevocations : parseRevocations(crl, ca, quote(files?.crl ?? ""));
}

/** Whoever is known by one name and begins to show another is refused by all, as is a certificate that is not valid yet. */
export function assertSuccessor(next: Identity, before: Identity, files: CredentialFiles | undefined): void {
  const isSameHolder =
    next.name === before.name &&
    next.cluster === before.cluster &&
    before.roles.every((role) => next.roles.includes(role));
  const act = `Cannot use certificate ${quote(files?.certificate ?? "")}`;
  if (!isSameHolder) {
    const who = `it is of ${describeIdentity(next)}, and this is ${describeIdentity(before)}`;
    throw new AmalgamError("usage", `${act}: ${who}; start anew to be somebody else`);
  }
  if (next.serial === before.serial || next.validFrom.getTime() <= Date.now()) return;
  throw new AmalgamError("usage", `${act}: it counts from ${next.validFrom.toISOString()}, which is to come`);
}

/** Reads them anew. Fails with `usage` where one cannot be read, or is far larger than certificates are. */
export async function readAll(files: CredentialFiles): Promise<Credentials> {
  const [ca, certificate, key, crl] = await Promise.all([
    ...[readSmall(files.ca), readSmall(files.certificate), readSmall(files.key)],
    files.crl === undefined ? undefined : readSmall(files.crl),
  ]);
  if (ca === undefined || certificate === undefined || key === undefined) throw new TypeError("Three files are read");
  return { ca, certificate, key, crl };
}

async function readSmall(file: string): Promise<Buffer> {
  try {
    const { size } = await stat(file);
    if (size > maxFileBytes) throw new Error(`it has ${size} bytes, at most ${maxFileBytes} are allowed`);
    return await readFile(file);
  } catch (cause) {
    throw new AmalgamError("usage", `Cannot read TLS file ${quote(file)}: ${AmalgamError.from(cause).message}`, {
      cause,
    });
  }
}

export function isSame(one: Credentials, other: Credentials): boolean {
  return areEqual(one, other, ["ca", "certificate", "key", "crl"]);
}

/** Whether the same is revoked, by the same authorities. */
export function isSameList(one: Credentials, other: Credentials): boolean {
  return areEqual(one, other, ["ca", "crl"]);
}

function areEqual(one: Credentials, other: Credentials, parts: readonly (keyof Credentials)[]): boolean {
  return parts.every((part) => Buffer.compare(one[part] ?? Buffer.of(), other[part] ?? Buffer.of()) === 0);
}
