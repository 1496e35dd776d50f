// Before toLegacyObject(), which loads a part of it: in the other order Node 20 leaves TLS without createSecureContext().
import "node:tls";
import { X509Certificate } from "node:crypto";
import type { DetailedPeerCertificate } from "node:tls";
import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";

/**
 * What the holder of a certificate may do. An agent serves units and reads from other agents; a coordinator gives orders to
 * agents; an operator hands in, follows and cancels jobs; a viewer looks on.
 */
export const roles = ["agent", "coordinator", "operator", "viewer"] as const;
export type Role = (typeof roles)[number];

/** Who a certificate says its holder is. */
export interface Identity {
  /** The subject's common name. Of an agent or coordinator, its name in the cluster. */
  readonly name: string;
  /** From URI subject alternative names, `urn:amalgam:<role>`. */
  readonly roles: readonly Role[];
  /** From `urn:amalgam:cluster:<name>`. Undefined: its authority has one cluster only. */
  readonly cluster: string | undefined;
  /** Hexadecimal. */
  readonly serial: string;
  readonly validFrom: Date;
  readonly validTo: Date;
}

const rolePrefix = "urn:amalgam:";
const clusterPrefix = "urn:amalgam:cluster:";

export function uriOfRole(role: Role): string {
  return `${rolePrefix}${role}`;
}

/**
 * The role in one cluster. A program that maps a certificate by one name, as NATS does to a user, tells tenants apart by it.
 */
export function uriOfRoleIn(cluster: string, role: Role): string {
  return `${clusterPrefix}${cluster}:${role}`;
}

export function uriOfCluster(cluster: string): string {
  return `${clusterPrefix}${cluster}`;
}

/** Of a certificate whose chain has been verified: nothing here looks at signatures. */
export function identityOf(certificate: X509Certificate): Identity {
  const uris = alternativeNames(certificate.subjectAltName ?? "").flatMap(({ kind, value }) =>
    kind === "URI" ? [value] : [],
  );
  const clusters = uris.flatMap((uri) => /^urn:amalgam:cluster:([^:]+)$/.exec(uri)?.[1] ?? []);
  return {
    name: commonName(certificate),
    roles: roles.filter((role) => uris.includes(uriOfRole(role))),
    // One that claims several belongs to none of them.
    cluster: clusters.length > 1 ? clusters.sort().join(" and ") : clusters[0],
    serial: certificate.serialNumber,
    validFrom: new Date(certificate.validFrom),
    validTo: new Date(certificate.validTo),
  };
}

/** For messages: `"gpu-7" (agent of cluster "blue")`. */
export function describeIdentity({ name, roles: held, cluster }: Identity): string {
  const role = held.length === 0 ? "no role" : held.join(" and ");
  return `${quote(name)} (${role}${cluster === undefined ? "" : ` of cluster ${quote(cluster)}`})`;
}

/**
 * The first certificate of a PEM file, which is its holder's where a chain follows. Fails with `usage` if there is none, or
 * one of them is broken off: OpenSSL overlooks that, and files are read while they are written. `what` is for the message.
 */
export function parseCertificate(pem: Buffer, what: string): X509Certificate {
  const [first] = parseCertificates(pem, what);
  if (first === undefined) throw new TypeError("A file in PEM has a first part");
  return first;
}

/** All certificates of a PEM file, likewise. */
export function parseCertificates(pem: Buffer, what: string): readonly X509Certificate[] {
  // Threads are handed plain bytes.
  const blocks = Buffer.from(pem)
    .toString()
    .split(/(?=-----BEGIN )/)
    .filter((block) => /^-----BEGIN [A-Z0-9 ]*CERTIFICATE-----/.test(block));
  try {
    return (blocks.length === 0 ? [pem] : blocks).map((block) => new X509Certificate(block));
  } catch (cause) {
    const place =
      blocks.length > 1 ? `one of its ${blocks.length} certificates is not whole` : "it is not a certificate in PEM";
    throw new AmalgamError("usage", `Cannot read ${what}: ${place}`, { cause });
  }
}

/** A peer's certificate, and those of the authorities above it, as a connection tells them with all details. */
export function chainOf(certificate: DetailedPeerCertificate): readonly X509Certificate[] {
  const chain: X509Certificate[] = [];
  const seen = new Set<DetailedPeerCertificate>();
  // Whoever signed its own certificate is its own issuer.
  for (
    let one: DetailedPeerCertificate | undefined = certificate;
    one?.raw && !seen.has(one);
    one = one.issuerCertificate
  ) {
    seen.add(one);
    chain.push(new X509Certificate(one.raw));
  }
  return chain;
}

function commonName(certificate: X509Certificate): string {
  const { CN: name } = certificate.toLegacyObject().subject as { readonly CN?: string | readonly string[] };
  return typeof name === "string" ? name : (name?.at(-1) ?? "");
}

export interface AlternativeName {
  /** `URI`, `DNS`, `IP Address`, as OpenSSL calls them. */
  readonly kind: string;
  readonly value: string;
}

/**
 * `DNS:host, URI:urn:amalgam:agent` in its parts. A value in which a comma or the like would look like the next name comes as
 * a JSON string (CVE-2021-44532), so a name cannot hide another one in it.
 */
export function alternativeNames(text: string): readonly AlternativeName[] {
  const names: AlternativeName[] = [];
  for (const [, kind = "", value = ""] of text.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)/g)) {
    names.push({ kind, value: value.startsWith('"') ? unquoted(value) : value });
  }
  return names;
}

function unquoted(value: string): string {
  try {
    return String(JSON.parse(value));
  } catch {
    return "";
  }
}
