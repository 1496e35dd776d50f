import type { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Server } from "@grpc/grpc-js";
import { formatAddress } from "../channel.js";
import type { Refusal } from "./server-credentials.js";

/**
 * Tells of connections that end before there is a call: without a certificate, with one that does not count, in plain text, with
 * an old TLS. Call it when the server is bound.
 *
 * grpc-js has no word for these, so its HTTP/2 servers are listened to. They are its own business: where a version of it keeps
 * them elsewhere, such connections are refused as ever, and nobody hears of it. A test does.
 */
export function watchHandshakes(server: Server, onRefused: (refusal: Refusal) => void): void {
  const { http2Servers } = server as unknown as { readonly http2Servers?: ReadonlyMap<EventEmitter, unknown> };
  if (!(http2Servers instanceof Map)) return;
  for (const http2Server of http2Servers.keys()) {
    // A socket that was asked once knows its peer's address when it is closed.
    http2Server.prependListener("connection", (socket: Socket) => void socket.remoteAddress);
    http2Server.on("tlsClientError", (error: NodeJS.ErrnoException, socket: TLSSocket) => {
      onRefused({ address: addressOf(socket), reason: reasonOf(error, socket) });
    });
  }
}

/** Node verifies a peer's certificate after the handshake, and hangs up: the reason is with the socket. */
function reasonOf(error: NodeJS.ErrnoException, { authorizationError }: TLSSocket): string {
  const code = String(authorizationError ?? error.code ?? "");
  for (const [pattern, reason] of reasons) if (pattern.test(code)) return reason;
  return `the TLS handshake failed: ${code}`;
}

const reasons: readonly (readonly [RegExp, string])[] = [
  [/CERT_HAS_EXPIRED/, "its certificate has expired"],
  [/CERT_NOT_YET_VALID/, "its certificate does not count yet"],
  [/PEER_DID_NOT_RETURN_A_CERTIFICATE/, "it shows no certificate"],
  // What Node says of no certificate at all, too.
  [/UNABLE_TO_GET_ISSUER_CERT$/, "it shows no certificate, or one of another authority"],
  [
    /SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY_LEAF)|CERT_SIGNATURE_FAILURE/,
    "its certificate was signed by another authority",
  ],
  [/HTTP_REQUEST|WRONG_VERSION_NUMBER|UNKNOWN_PROTOCOL|PACKET_LENGTH/, "it does not speak TLS"],
  [/UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW|PROTOCOL_VERSION/, "it speaks an older TLS than 1.2"],
  [/ALERT/, "it does not trust our certificate"],
  [/ECONNRESET|EPIPE/, "it left in the middle of the TLS handshake"],
  [/HANDSHAKE_TIMEOUT/, "it did not finish the TLS handshake in time"],
];

function addressOf(socket: TLSSocket): string {
  const { remoteAddress, remotePort } = (socket as { readonly _parent?: Socket })._parent ?? socket;
  return remoteAddress === undefined ? "an address unknown" : formatAddress(remoteAddress, remotePort ?? 0);
}
