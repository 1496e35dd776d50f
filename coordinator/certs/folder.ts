import { X509Certificate } from "node:crypto";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { identityOf, parseCertificate } from "../../shared/rpc/tls/identity.js";
import { createAuthority, issue, type Subject, validFor } from "./authority.js";
import { openAuthority, put } from "./files.js";
import { signRevocations } from "./revocations.js";
import { listName } from "./revoke.js";
import { subjectOf } from "./subjects.js";

/** A certificate as it lies in the folder. */
export interface IssuedFile {
  readonly subject: Subject;
  readonly certificate: string;
  readonly key: string;
  readonly validTo: Date;
}

export interface CertificateFolder {
  /** The authority's certificate, which every node gets. */
  readonly ca: string;
  /** Its key, which stays. */
  readonly caKey: string;
  /** The list of revoked certificates, which every node follows; undefined: there is none yet. */
  readonly crl: string | undefined;
  readonly isNewAuthority: boolean;
  readonly issued: readonly IssuedFile[];
}

export interface MakeOptions {
  /** Of certificates; the authority's is for ten years. */
  readonly days: number;
  /** Certificates that are there get a successor, with a new key. Without subjects: all that are there. */
  readonly renew: boolean;
  /** What the authority is called, if it has yet to be made. */
  readonly authority: string;
}

const authorityDays = 3_650;

/**
 * Makes certificates in `folder`, and an authority if there is none. What is there is left alone, unless it is to be renewed:
 * fails with `output_refused` before anything is written. Nobody but the owner reads the keys, or enters the folder if it is
 * made here.
 */
export async function makeCertificates(
  folder: string,
  subjects: readonly Subject[],
  { days, renew, authority: name }: MakeOptions,
): Promise<CertificateFolder> {
  const there = await makeFolder(folder);
  const [ca, caKey, crl] = ["ca.pem", "ca.key", listName].map((name) => join(folder, name)) as [string, string, string];
  if (there.has("ca.key") && !there.has("ca.pem")) {
    throw new AmalgamError(
      "output_refused",
      `Cannot make an authority in ${quote(folder)}: "ca.key" is there, an authority's key without its certificate; put its "ca.pem" back, or take it away`,
    );
  }
  const found = there.has("ca.pem") ? await openAuthority(ca, caKey) : undefined;
  if (found === undefined && renew) {
    throw new AmalgamError("usage", `Cannot renew certificates in ${quote(folder)}: there is no authority, "ca.pem"`);
  }
  const wanted = renew && subjects.length === 0 ? await subjectsIn(folder, there) : subjects;
  const taken = renew ? [] : wanted.flatMap(({ name }) => filesOf(name).filter((file) => there.has(file)));
  if (taken.length > 0) {
    const files = taken.map(quote).join(", ");
    throw new AmalgamError(
      "output_refused",
      `Cannot make certificates in ${quote(folder)}: ${files} ${taken.length === 1 ? "is" : "are"} there already; "--renew" puts new ones in their place`,
    );
  }
  const authority = found ?? (await createAuthority(name, validFor(authorityDays)));
  if (found === undefined) {
    await put(caKey, authority.key, 0o600);
    await put(ca, authority.certificate, 0o644);
    // Whoever follows an empty list from the start need not be started anew when there is something on it.
    await put(crl, await signRevocations(authority, [], new Date()), 0o644);
  }
  const issued: IssuedFile[] = [];
  for (const subject of wanted) {
    const { certificate, key } = await issue(authority, subject, validFor(days));
    const [certificateFile = "", keyFile = ""] = filesOf(subject.name).map((file) => join(folder, file));
    await put(keyFile, key, 0o600);
    await put(certificateFile, certificate, 0o644);
    const validTo = new Date(new X509Certificate(certificate).validTo);
    issued.push({ subject, certificate: certificateFile, key: keyFile, validTo });
  }
  const hasList = found === undefined || there.has(listName);
  return { ca, caKey, crl: hasList ? crl : undefined, isNewAuthority: found === undefined, issued };
}

async function makeFolder(folder: string): Promise<ReadonlySet<string>> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return new Set(await readdir(folder));
  } catch (cause) {
    const { message } = AmalgamError.from(cause);
    throw new AmalgamError("usage", `Cannot make certificates in ${quote(folder)}: ${message}`, { cause });
  }
}

function filesOf(name: string): readonly [string, string] {
  return [`${name}.pem`, `${name}.key`];
}

async function subjectsIn(folder: string, there: ReadonlySet<string>): Promise<readonly Subject[]> {
  const files = [...there].filter((file) => file.endsWith(".pem")).sort();
  const subjects = await Promise.all(
    files.map(async (file) => {
      const path = join(folder, file);
      const certificate = parseCertificate(await readFile(path), quote(path));
      // Authorities: this one, those before it, bundles of both.
      if (certificate.ca) return [];
      const subject = subjectOf(identityOf(certificate), certificate.subjectAltName);
      if (filesOf(subject.name)[0] === file) return [subject];
      throw new AmalgamError("usage", `Cannot renew ${quote(path)}: it is a certificate of ${quote(subject.name)}`);
    }),
  );
  return subjects.flat();
}
