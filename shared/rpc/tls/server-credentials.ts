import { constants, X509Certificate } from "node:crypto";
import type { PeerCertificate } from "node:tls";
import {
  ResponderBuilder,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
  ServerListenerBuilder,
} from "@grpc/grpc-js";
import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import { toStatus } from "../status.js";
import type { Credentials } from "./credentials.js";
import { describeIdentity, type Identity, identityOf, type Role } from "./identity.js";
import type { LiveCredentials } from "./live-credentials.js";
import { otherCluster } from "./server-check.js";

/** Somebody who was not let in, for the audit log. */
export interface Refusal {
  /** `ip:port`; of a handshake that failed, where the connection came from. */
  readonly address: string;
  /** The certificate's name; undefined before there was one that we could believe. */
  readonly name?: string | undefined;
  /** As in `/amalgam.v1.AgentService/Merge`; undefined: the connection itself was refused. */
  readonly method?: string | undefined;
  readonly reason: string;
}

/** Whom a server lets do what. */
export interface Admission {
  /** The roles that may call a method, such as `Merge`. */
  readonly rolesFor: (method: string) => readonly Role[];
  readonly onRefused?: ((refusal: Refusal) => void) | undefined;
}

/** Who calls. */
interface Peer extends Identity {
  /** Why its certificate does not count any more, if it does not. */
  readonly revocation: string | undefined;
}

/** More than a cluster has nodes. */
const maxKnown = 10_000;

/**
 * A server's half of mutual TLS: at least TLS 1.2, a certificate of ours for every peer, and each call by a role that may. New
 * connections meet what the files hold at the time.
 */
export class LiveServerCredentials extends ServerCredentials {
  readonly #live: LiveCredentials;
  readonly #admission: Admission | undefined;
  /** By fingerprint: reading one takes longer than a call. */
  readonly #known = new Map<string, Peer>();
  #stop: (() => void) | undefined;

  constructor(live: LiveCredentials, admission: Admission | undefined) {
    super({ requestCert: true, rejectUnauthorized: true }, contextOf(live.current));
    this.#live = live;
    this.#admission = admission;
  }

  override _addWatcher(watcher: Parameters<ServerCredentials["_addWatcher"]>[0]): void {
    super._addWatcher(watcher);
    this.#stop ??= this.#live.onChange(() => {
      this.#known.clear();
      this.updateSecureContextOptions(contextOf(this.#live.current));
    });
  }

  override _removeWatcher(watcher: Parameters<ServerCredentials["_removeWatcher"]>[0]): void {
    super._removeWatcher(watcher);
    if (this.getWatcherCount() > 0) return;
    this.#stop?.();
    this.#stop = undefined;
  }

  override _getInterceptors(): ServerInterceptor[] {
    return this.#admission === undefined ? [] : [this.#intercept];
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }

  #identify({ fingerprint256, raw }: PeerCertificate): Peer {
    const known = this.#known.get(fingerprint256);
    if (known !== undefined) return known;
    const certificate = new X509Certificate(raw);
    const peer = { ...identityOf(certificate), revocation: this.#live.revocationOf(certificate) };
    if (this.#known.size >= maxKnown) this.#known.clear();
    this.#known.set(fingerprint256, peer);
    return peer;
  }

  readonly #intercept: ServerInterceptor = (method, call) => {
    const certificate = call.getAuthContext().sslPeerCertificate;
    const peer = certificate === undefined ? undefined : this.#identify(certificate);
    const { path } = method;
    const reason = this.#whyNot(path.slice(path.lastIndexOf("/") + 1), peer);
    if (reason === undefined) return new ServerInterceptingCall(call);
    const who = peer === undefined ? "One without a certificate" : describeIdentity(peer);
    this.#admission?.onRefused?.({ address: call.getPeer(), name: peer?.name, method: path, reason });
    const error = new AmalgamError("unauthorized", `${who} may not call ${quote(path)}: ${reason}`);
    return refuse(call, error);
  };

  #whyNot(method: string, peer: Peer | undefined): string | undefined {
    if (peer === undefined) return "it shows no certificate";
    if (peer.revocation !== undefined) return peer.revocation;
    const own = this.#live.identity;
    if (peer.cluster !== own.cluster) return `its certificate is ${otherCluster(peer, own)}`;
    const allowed = this.#admission?.rolesFor(method) ?? [];
    if (allowed.some((role) => peer.roles.includes(role))) return undefined;
    if (allowed.length === 0) return "nobody may";
    return `it takes a certificate with the role of ${allowed.join(" or ")}`;
  }
}

/** Without tickets: whoever resumes a session is not asked for a certificate again, and so could go on after it has expired. */
function contextOf({ ca, certificate, key }: Credentials) {
  return { ca, cert: certificate, key, minVersion: "TLSv1.2" as const, secureOptions: constants.SSL_OP_NO_TICKET };
}

type Call = Parameters<ServerInterceptor>[1];

/** Answers before the request's message is read. */
function refuse(call: Call, error: AmalgamError): ServerInterceptingCall {
  const { code, details, metadata } = toStatus(error);
  const listener = new ServerListenerBuilder()
    .withOnReceiveMetadata(() => call.sendStatus({ code, details, metadata }))
    .build();
  const responder = new ResponderBuilder().withStart((next) => next(listener)).build();
  return new ServerInterceptingCall(call, responder);
}
