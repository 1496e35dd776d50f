import type { X509Certificate } from "node:crypto";
import type { EventEmitter } from "node:events";
import type { ServerHttp2Session } from "node:http2";
import type { TLSSocket } from "node:tls";
import type { Server } from "@grpc/grpc-js";
import { formatAddress } from "../channel.js";
import { liveCredentials, type Security } from "../security.js";
import { identityOf } from "./identity.js";
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

function watch(http2Server: EventEmitter, live: LiveCredentials, onRefused?: (refusal: Refusal) => void): void {
  const peers = new Map<ServerHttp2Session, X509Certificate>();
  const judge = (session: ServerHttp2Session, certificate: X509Certificate): void => {
    const reason = live.revocationOf(certificate);
    if (reason === undefined || !peers.delete(session)) return;
    const { remoteAddress = "", remotePort = 0 } = session.socket;
    const address = formatAddress(remoteAddress, remotePort);
    onRefused?.({ address, name: identityOf(certificate).name, reason });
    // Not its socket: one that is destroyed below its session stays open. Not now: it may be about to begin.
    setImmediate(() => session.destroy());
  };
  http2Server.on("session", (session: ServerHttp2Session) => {
    const certificate = (session.socket as TLSSocket).getPeerX509Certificate();
    if (certificate === undefined) return;
    peers.set(session, certificate);
    session.once("close", () => peers.delete(session));
    judge(session, certificate);
  });
  const stop = live.onChange(() => {
    for (const [session, certificate] of peers) judge(session, certificate);
  });
  http2Server.once("close", stop);
}
