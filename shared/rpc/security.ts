import { readFileSync } from "node:fs";
import { type ChannelCredentials, credentials, ServerCredentials } from "@grpc/grpc-js";
import { AmalgamError } from "../errors.js";
import { quote } from "../quote.js";
import { assertLoopback } from "./channel.js";
import { channelCredentialsOf } from "./tls/channel-credentials.js";
import type { CredentialFiles, Credentials } from "./tls/credentials.js";
import { LiveCredentials } from "./tls/live-credentials.js";
import type { ServerCheck } from "./tls/server-check.js";
import { type Admission, LiveServerCredentials } from "./tls/server-credentials.js";

/** How the two ends of a connection know each other. Plain data, so that threads can be handed it. */
export type Security =
  /** Nobody but this machine can connect, so nothing is encrypted. */
  | { readonly kind: "loopback" }
  /** Both ends show a certificate that `ca` signed, with a role; a server's names the host it is reached at. */
  | ({ readonly kind: "mutual-tls" } & Credentials & {
        /** Where they were read, and are read again when they change. Undefined: they stay as they are. */
        readonly files?: CredentialFiles | undefined;
      });

export const loopback: Security = { kind: "loopback" };

/** The files of `--tls-ca`, `--tls-cert`, `--tls-key` and `--tls-crl`. */
export interface SecurityFiles {
  readonly ca?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  readonly crl?: string | undefined;
}

/** The first three files, with or without revocation lists, or none for loopback alone. */
export function readSecurity({ ca, certificate, key, crl }: SecurityFiles): Security {
  if ([ca, certificate, key, crl].every((file) => file === undefined)) return loopback;
  if (ca === undefined || certificate === undefined || key === undefined) {
    throw new AmalgamError("usage", 'Cannot use TLS: give all of "--tls-ca", "--tls-cert" and "--tls-key"');
  }
  const files = { ca, certificate, key, crl };
  return { kind: "mutual-tls", ...readCredentials(files), files };
}

const byFiles = new Map<string, LiveCredentials>();
const bySecurity = new WeakMap<Security, LiveCredentials>();

/**
 * What `security` stands for now; undefined without TLS. One for each set of files in a thread. Fails with `usage` where
 * files do not fit together or the certificate has expired.
 */
export function liveCredentials(security: Security): LiveCredentials | undefined {
  if (security.kind === "loopback") return undefined;
  const { files } = security;
  const known = files === undefined ? bySecurity.get(security) : byFiles.get(keyOf(files));
  if (known !== undefined) return known;
  const live = openCredentials(security, files);
  if (files === undefined) bySecurity.set(security, live);
  else byFiles.set(keyOf(files), live);
  return live;
}

/** A thread that starts late is handed what the files held when its program began, which may have expired since. */
function openCredentials(handed: Credentials, files: CredentialFiles | undefined): LiveCredentials {
  if (files !== undefined) {
    try {
      return new LiveCredentials(readCredentials(files), files);
    } catch {
      // They are being replaced, or what was handed is as bad and the reason is told below.
    }
  }
  return new LiveCredentials(handed, files);
}

/** For another thread, which may start when the files cannot be read: with what they held last, a revocation list above all. */
export function currentSecurity(security: Security): Security {
  if (security.kind === "loopback" || security.files === undefined) return security;
  return { ...security, ...liveCredentials(security)?.current };
}

/** Looks at all TLS files of this thread now, as on SIGHUP. */
export async function reloadCredentials(): Promise<void> {
  await Promise.all([...byFiles.values()].map((live) => live.reload()));
}

/** What to connect to `host` with; refuses any but loopback addresses without TLS. `check` is asked about the server. */
export function channelCredentials(security: Security, host: string, check?: ServerCheck): ChannelCredentials {
  const live = liveCredentials(security);
  if (live !== undefined) return channelCredentialsOf(live, check);
  assertLoopback(host, "Cannot connect to");
  return credentials.createInsecure();
}

/**
 * What to listen on `host` with; the same rule. Peers without a certificate of the same authority are refused, and with one
 * those whom `admission` does not let in.
 */
export function serverCredentials(security: Security, host: string, admission?: Admission): ServerCredentials {
  const live = liveCredentials(security);
  if (live !== undefined) return new LiveServerCredentials(live, admission);
  assertLoopback(host, "Cannot listen on");
  return ServerCredentials.createInsecure();
}

function readCredentials({ ca, certificate, key, crl }: CredentialFiles): Credentials {
  return { ca: read(ca), certificate: read(certificate), key: read(key), crl: crl === undefined ? crl : read(crl) };
}

function keyOf(files: CredentialFiles): string {
  return JSON.stringify([files.ca, files.certificate, files.key, files.crl]);
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const { message } = AmalgamError.from(error);
    throw new AmalgamError("usage", `Cannot read TLS file ${quote(file)}: ${message}`, {
      cause: error,
      details: { file },
    });
  }
}
