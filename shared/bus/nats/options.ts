import type { ConnectionOptions } from "nats";
import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import { ackWaitMs } from "../bus.js";
import { checkNatsServer } from "./server-name.js";

export interface BusOptions {
  /**
   * `nats://host:4222` or `tls://…`, with `user:password@` or `token@` before the host, percent-encoded; several
   * divided by commas, each with its scheme.
   */
  readonly url: string;
  /** Mutual TLS encrypts the connection whatever the URL's scheme. Default: none. */
  readonly security?: BusSecurity;
  /** What the server's own lists call this connection. */
  readonly name: string;
  /**
   * As what it is connected to. Answers come below `_INBOX.<role>`, so that a server can keep each role to its own; what a role
   * may do is the server's to say (`deploy/nats/`). Default `client`: whoever hands jobs in or looks on.
   */
  readonly role?: BusRole;
  /** How long one operation may take. Default 2,000. */
  readonly timeoutMs?: number;
  /** What the names of all streams and buckets begin with, so that clusters share a server. Default `amalgam`. */
  readonly prefix?: string;
  /** On how many servers of a NATS cluster each stream is kept. Default 1. */
  readonly replicas?: number;
  /** How long a taker of a job may be silent. Default {@link ackWaitMs}. */
  readonly ackWaitMs?: number;
  /** Connect even to a server whose version is known to lose data. Default false. */
  readonly allowUnsafe?: boolean;
}

export type BusRole = "agent" | "coordinator" | "client";

/** How the ends of the connection know each other; `Security` of `shared/rpc/` is one. */
export type BusSecurity =
  | { readonly kind: "loopback" }
  | {
      readonly kind: "mutual-tls";
      readonly ca: Buffer;
      readonly certificate: Buffer;
      readonly key: Buffer;
      /** Where they are read again for each new connection. Default: they stay as they are. */
      readonly files?: { readonly ca: string; readonly certificate: string; readonly key: string } | undefined;
    };

/** Options with their defaults, and the URL in its parts. */
export interface Settings {
  readonly client: ConnectionOptions;
  /** Of the servers. */
  readonly ports: readonly number[];
  /** The URL without user, password and token: fit to be shown. */
  readonly shownUrl: string;
  readonly isLoopback: boolean;
  readonly isEncrypted: boolean;
  readonly hasCredentials: boolean;
  readonly role: BusRole;
  /** Undefined: the server knows it by certificate or token, if at all. */
  readonly user: string | undefined;
  /** What the subjects of answers begin with. */
  readonly inboxPrefix: string;
  readonly timeoutMs: number;
  readonly prefix: string;
  readonly replicas: number;
  readonly ackWaitMs: number;
  readonly allowUnsafe: boolean;
}

/** Refuses, with `usage`, an address that others can reach unless it has both TLS and credentials. */
export function settle(options: BusOptions): Settings {
  // A comma may be part of a password.
  const servers = options.url.split(/,(?=\s*(?:nats|tls):\/\/)/i).map((text) => parseServer(text.trim()));
  const first = servers[0];
  if (first === undefined) throw new TypeError("split() gave nothing");
  const { security = { kind: "loopback" }, timeoutMs = 2_000, prefix = "amalgam", role = "client" } = options;
  const inboxPrefix = `_INBOX.${role}`;
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(prefix)) {
    throw new AmalgamError("usage", `Cannot use ${quote(prefix)} as a prefix: it takes letters, digits, "-" and "_"`);
  }
  const isLoopback = servers.every(({ host }) => isLoopbackHost(host));
  const isEncrypted = security.kind === "mutual-tls" || servers.every(({ isTls }) => isTls);
  const hasCredentials = security.kind === "mutual-tls" || first.user !== undefined || first.token !== undefined;
  // The client hands on what it has no name for.
  const identity: object = { checkServerIdentity: checkNatsServer(servers.map(({ host }) => host)) };
  const shownUrl = servers.map(({ shown }) => shown).join(",");
  if (!isLoopback && !(isEncrypted && hasCredentials)) {
    const lacks = [...(isEncrypted ? [] : ["TLS"]), ...(hasCredentials ? [] : ["credentials"])].join(" and ");
    throw new AmalgamError(
      "usage",
      `Cannot use NATS at ${quote(shownUrl)} without ${lacks}: anyone on the way could read and change jobs. Give --tls-ca, --tls-cert and --tls-key, which "amalgam certs" makes, or a URL such as "tls://user:password@host:4222"`,
      { details: { url: shownUrl } },
    );
  }
  return {
    client: {
      servers: servers.map(({ address }) => address),
      name: options.name,
      inboxPrefix,
      timeout: timeoutMs,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 250,
      reconnectJitter: 100,
      reconnectJitterTLS: 100,
      // A password may be on its way to the server: being refused is a reason to wait.
      ignoreAuthErrorAbort: true,
      // A frozen server keeps its connections open: three pings without an answer end one.
      pingInterval: 2_000,
      maxPingOut: 2,
      // A server may name others to go to; on loopback without TLS those would be spoken to in the clear.
      ignoreClusterUpdates: !isEncrypted,
      ...(first.user === undefined ? {} : { user: first.user, pass: first.password ?? "" }),
      ...(first.token === undefined ? {} : { token: first.token }),
      ...(isEncrypted ? { tls: { ...tlsOptions(security), ...identity } } : {}),
    },
    ports: servers.map(({ address }) => Number(address.slice(address.lastIndexOf(":") + 1))),
    shownUrl,
    isLoopback,
    isEncrypted,
    hasCredentials,
    role,
    user: first.user,
    inboxPrefix,
    timeoutMs,
    prefix,
    replicas: options.replicas ?? 1,
    ackWaitMs: options.ackWaitMs ?? ackWaitMs,
    allowUnsafe: options.allowUnsafe ?? false,
  };
}

function tlsOptions(security: BusSecurity): NonNullable<ConnectionOptions["tls"]> {
  if (security.kind === "loopback") return {};
  const { files } = security;
  // Named, files are read by the client whenever it connects again, so that a renewed certificate is used then.
  if (files !== undefined) return { caFile: files.ca, certFile: files.certificate, keyFile: files.key };
  return { ca: String(security.ca), cert: String(security.certificate), key: String(security.key) };
}

interface Server {
  readonly address: string;
  readonly shown: string;
  readonly host: string;
  readonly isTls: boolean;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
}

function parseServer(text: string): Server {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !isServer(url)) {
    // Any part of it may be part of a password.
    const shown = text === "" ? "" : `${/^[a-z]+:\/\//i.exec(text)?.[0] ?? ""}…`;
    throw new AmalgamError(
      "usage",
      `Cannot use ${quote(shown)} as NATS: it is not of the form "nats://user:password@host:4222"; in user, password and token, write characters such as "@", "/", "#" and "," percent-encoded ("%40", "%2F", "%23", "%2C")`,
    );
  }
  const address = `${url.hostname}:${url.port || "4222"}`;
  const user = decode(url.username);
  return {
    address,
    shown: `${url.protocol}//${address}`,
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    isTls: url.protocol === "tls:",
    ...(user === "" ? {} : url.password === "" ? { token: user } : { user, password: decode(url.password) }),
  };
}

function isServer({ protocol, hostname, pathname, search, hash }: URL): boolean {
  const isHost = /^(\[[0-9a-f:.]+\]|[\w.-]+)$/i.test(hostname);
  return ["nats:", "tls:"].includes(protocol) && isHost && ["", "/"].includes(pathname) && `${search}${hash}` === "";
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function isLoopbackHost(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}
