import { readFileSync } from "node:fs";
import { type ChannelCredentials, credentials, ServerCredentials } from "@grpc/grpc-js";
import { AmalgamError } from "../errors.js";
import { assertLoopback } from "./channel.js";

/** How the two ends of a connection know each other. */
export type Security =
  /** Nobody but this machine can connect, so nothing is encrypted. */
  | { readonly kind: "loopback" }
  /** Both ends show a certificate that `ca` signed; a server's names the host it is reached at. All PEM. */
  | { readonly kind: "mutual-tls"; readonly ca: Buffer; readonly certificate: Buffer; readonly key: Buffer };

export const loopback: Security = { kind: "loopback" };

/** The files of `--tls-ca`, `--tls-cert` and `--tls-key`. */
export interface SecurityFiles {
  readonly ca?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

/** All three files, or none for loopback alone. */
export function readSecurity({ ca, certificate, key }: SecurityFiles): Security {
  if (ca === undefined && certificate === undefined && key === undefined) return loopback;
  if (ca === undefined || certificate === undefined || key === undefined) {
    throw new AmalgamError("usage", 'Cannot use TLS: give all of "--tls-ca", "--tls-cert" and "--tls-key"');
  }
  return { kind: "mutual-tls", ca: read(ca), certificate: read(certificate), key: read(key) };
}

/** What to connect to `host` with; refuses any but loopback addresses without TLS. */
export function channelCredentials(security: Security, host: string): ChannelCredentials {
  if (security.kind === "mutual-tls") {
    const { ca, key, certificate } = security;
    return credentials.createSsl(ca, key, certificate);
  }
  assertLoopback(host, "Cannot connect to");
  return credentials.createInsecure();
}

/** What to listen on `host` with; the same rule. Peers without a certificate of the same authority are refused. */
export function serverCredentials(security: Security, host: string): ServerCredentials {
  if (security.kind === "mutual-tls") {
    const { ca, key, certificate } = security;
    return ServerCredentials.createSsl(ca, [{ private_key: key, cert_chain: certificate }], true);
  }
  assertLoopback(host, "Cannot listen on");
  return ServerCredentials.createInsecure();
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const { message } = AmalgamError.from(error);
    throw new AmalgamError("usage", `Cannot read TLS file "${file}": ${message}`, { cause: error, details: { file } });
  }
}
