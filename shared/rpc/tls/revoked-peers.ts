import type { X509Certificate } from "node:crypto";
import type { EventEmitter } from "node:events";
import type { ServerHttp2Session } from "node:http2";
import type { TLSSocket } from "node:tls";
import type { Server } from "@grpc/grpc-js";
import { formatAddress } from "../channel.js";
import { liveCredentials, type Security } from "../security.js";
import { chainOf, identityOf } from "./identity.js";
import type { LiveCredentials } from "./live-credentials.js";
import type { Refusal } from "./server-credentials.js";

/**
 * Ends connections of peers whose certificate is revoked: new ones after the handshake, those that are there when the list comes,
 * with all their calls. Call it when the server is bound; without TLS there is nothing to do.
 *
 * OpenSSL would look at lists in handshakes only, and with them refuses everybody whose authority has none, or one past its date.
 */
export function endRevokedPeers(server: Server, security: Security, onRefused?: (refusal: Refusal) => void): void {
  const live = liveCredentials(security);
  if (live === undefined) return;
  // grpc-js's own business, without which guardServer() lets no server run.
  const { http2Servers } = server as unknown as { readonly http2Servers: ReadonlyMap<EventEmitter, unknown> };
  for (const http2Server of http2Servers.keys()) watch(http2Server, live, onRefused);
}

interface Peer {
  readonly address: string;
  /** Its certificate, and those of the authorities above it. */
  readonly chain: readonly X509Certificate[];
}

function watch(http2Server: EventEmitter, live: LiveCredentials, onRefused?: (refusal: Refusal) => void): void {
  const peers = new Map<ServerHttp2Session, Peer>();
  const judge = (session: ServerHttp2Session, { address, chain }: Peer): void => {
    const reason = live.revocationOf(...chain);
    if (reason === undefined || !peers.delete(session)) return;
    const [certificate] = chain;
    onRefused?.({ address, name: certificate && identityOf(certificate).name, reason });
    // Not its socket: one that is destroyed below its session stays open. Not now: it may be about to begin.
    setImmediate(() => session.destroy());
  };
  http2Server.on("session", (session: ServerHttp2Session) => {
    const socket = session.socket as TLSSocket;
    const chain = chainOf(socket.getPeerCertificate(true));
    if (chain.length === 0) return;
    // Now: a session that is ending, which may take as long as its peer likes, tells nothing of its socket any more.
    const peer = { address: formatAddress(socket.remoteAddress ?? "", socket.remotePort ?? 0), chain };
    peers.set(session, peer);
    session.once("close", () => peers.delete(session));
    judge(session, peer);
  });
  const stop = live.onChange(() => {
    for (const [session, peer] of peers) judge(session, peer);
  });
  http2Server.once("close", stop);
}
