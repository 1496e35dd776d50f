import "./reflect-metadata.js";
import { createPrivateKey, X509Certificate as ReadCertificate, randomBytes, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import * as x509 from "@peculiar/x509";
import { type Role, uriOfCluster, uriOfRole, uriOfRoleIn } from "../../shared/rpc/tls/identity.js";

/** Who signs the certificates of a cluster. Both in PEM; the key must not leave the machine that issues. */
export interface Authority {
  readonly certificate: string;
  readonly key: string;
}

/** A certificate in PEM and its key, PKCS #8. */
export interface Issued {
  readonly certificate: string;
  readonly key: string;
}

/** What a certificate says. */
export interface Subject {
  /** The common name; of agents and coordinators, their name in the cluster. */
  readonly name: string;
  /** Empty for a server that is neither, such as NATS. */
  readonly roles: readonly Role[];
  readonly cluster?: string | undefined;
  /** Names and addresses at which others reach it. */
  readonly hosts: readonly string[];
}

export interface Validity {
  readonly from: Date;
  readonly to: Date;
}

/** Of everything that an authority signs. */
export const signatureAlgorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
/** Clocks of machines differ: a certificate counts from a little before it was made. */
const leewayMs = 5 * 60_000;
const dayMs = 24 * 60 * 60_000;

export function validFor(days: number, now: Date = new Date()): Validity {
  return { from: new Date(now.getTime() - leewayMs), to: new Date(now.getTime() + days * dayMs) };
}

/** ECDSA over P-256, as everything it signs. It signs certificates and no further authorities. */
export async function createAuthority(name: string, { from, to }: Validity): Promise<Authority> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: [{ CN: [name] }],
    notBefore: from,
    notAfter: to,
    signingAlgorithm: signatureAlgorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: `${certificate.toString("pem")}\n`, key: await exported(keys.privateKey) };
}

/** A certificate for both ends of a connection, and a new key. It ends with its authority at the latest. */
export async function issue(authority: Authority, subject: Subject, { from, to }: Validity): Promise<Issued> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: subject.name === "" ? [] : [{ CN: [subject.name] }],
    issuer: issuer.subject,
    notBefore: from,
    notAfter: new Date(Math.min(to.getTime(), issuer.notAfter.getTime())),
    signingAlgorithm: signatureAlgorithm,
    publicKey: keys.publicKey,
    signingKey: await importSigningKey(authority.key),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      new x509.SubjectAlternativeNameExtension(alternativeNames(subject)),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { certificate: `${certificate.toString("pem")}\n`, key: await exported(keys.privateKey) };
}

/** Why the authority cannot sign; undefined if it can. */
export function whyNotToSign({ certificate, key }: Authority): string | undefined {
  try {
    const read = new ReadCertificate(certificate);
    const privateKey = createPrivateKey(key);
    if (!read.checkPrivateKey(privateKey)) return "the key is of another certificate";
    if (!read.ca) return "that is no authority's certificate";
    const { namedCurve } = privateKey.asymmetricKeyDetails ?? {};
    if (namedCurve !== "prime256v1") return "the key is not one of ECDSA over P-256, as this command signs with";
    return new Date(read.validTo) > new Date() ? undefined : `the authority expired on ${read.validTo}`;
  } catch {
    return "they are not a certificate and its private key in PEM";
  }
}

function alternativeNames({ hosts, roles, cluster }: Subject): x509.JsonGeneralNames {
  const inCluster =
    cluster === undefined ? [] : [uriOfCluster(cluster), ...roles.map((role) => uriOfRoleIn(cluster, role))];
  const uris = [...roles.map(uriOfRole), ...inCluster];
  return [
    ...hosts.map((host) => ({ type: isIP(host) === 0 ? ("dns" as const) : ("ip" as const), value: host })),
    ...uris.map((value) => ({ type: "url" as const, value })),
  ];
}

/** 127 random bits: positive, and never the same twice. */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(signatureAlgorithm, true, ["sign", "verify"]);
}

async function exported(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key));
  return String(createPrivateKey({ key: der, format: "der", type: "pkcs8" }).export({ format: "pem", type: "pkcs8" }));
}

export async function importSigningKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(pem).export({ format: "der", type: "pkcs8" });
  return await webcrypto.subtle.importKey("pkcs8", der, signatureAlgorithm, false, ["sign"]);
}
