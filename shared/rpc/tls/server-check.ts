import type { X509Certificate } from "node:crypto";
import { checkServerIdentity, type DetailedPeerCertificate, type PeerCertificate } from "node:tls";
import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import { chainOf, describeIdentity, type Identity, identityOf, type Role } from "./identity.js";
import type { LiveCredentials } from "./live-credentials.js";

/** Whom a client expects to find. */
export interface Expectation {
  readonly role: Role;
  /** The certificate's name. Default: any. */
  readonly name?: string | undefined;
}

/**
 * What a client asks of the certificate of the server at `address`, once its chain has been verified: that it is for this
 * host, has the role, is of our cluster and, where a name is known, is that node's. A certificate that was stolen from one
 * agent must not pass for another one's.
 */
export class ServerCheck {
  readonly #address: string;
  readonly #own: Pick<LiveCredentials, "identity" | "revocationOf">;
  readonly #expected: Expectation;
  /** The certificate that was accepted last, and those of the authorities above it. */
  #accepted: readonly X509Certificate[] = [];
  #refusal: AmalgamError | undefined;

  constructor(address: string, own: Pick<LiveCredentials, "identity" | "revocationOf">, expected: Expectation) {
    this.#address = address;
    this.#own = own;
    this.#expected = expected;
  }

  /** Why the last certificate was refused. */
  get refusal(): AmalgamError | undefined {
    return this.#refusal;
  }

  /** Why the certificate that was accepted last does not count any more; undefined while it does. */
  get revocation(): AmalgamError | undefined {
    const [accepted] = this.#accepted;
    const reason = this.#own.revocationOf(...this.#accepted);
    return accepted && reason ? this.#refuse(identityOf(accepted), reason) : undefined;
  }

  /** For `tls.connect()`. */
  readonly checkServerIdentity = (host: string, certificate: PeerCertificate): Error | undefined => {
    this.#refusal = this.#judge(host, certificate);
    return this.#refusal;
  };

  #judge(host: string, certificate: PeerCertificate): AmalgamError | undefined {
    // Node hands over all details here, which its types do not say.
    const chain = chainOf(certificate as DetailedPeerCertificate);
    const [shown] = chain;
    if (shown === undefined) throw new TypeError("A server shows a certificate");
    const identity = identityOf(shown);
    const mismatch = checkServerIdentity(host, certificate);
    if (mismatch !== undefined) {
      const names = quote(certificate.subjectaltname ?? "nothing");
      return this.#refuse(identity, `its certificate is for ${names}, not for ${quote(host)}`);
    }
    const reason = this.#own.revocationOf(...chain) ?? whyNot(identity, this.#own.identity, this.#expected);
    if (reason !== undefined) return this.#refuse(identity, reason);
    this.#accepted = chain;
    return undefined;
  }

  #refuse(identity: Identity, reason: string): AmalgamError {
    const message = `Cannot trust ${this.#address}, which shows the certificate of ${describeIdentity(identity)}: ${reason}`;
    return refusedHandshake(message, this.#address);
  }
}

function whyNot(peer: Identity, own: Identity, { role, name }: Expectation): string | undefined {
  if (!peer.roles.includes(role)) return `it has not the role of ${role}`;
  if (peer.cluster !== own.cluster) return `it is ${otherCluster(peer, own)}`;
  if (name !== undefined && peer.name !== name) return `the node that is said to be there is ${quote(name)}`;
  return undefined;
}

/**
 * The two ends do not take one another. Another agent may well serve, and files may be replaced at any moment: worth another
 * try. `details.tls` tells it from an agent that is gone.
 */
export function refusedHandshake(message: string, peer: string): AmalgamError {
  return new AmalgamError("agent_lost", message, { details: { peer, tls: "refused" } });
}

/** For messages. */
export function otherCluster(peer: Identity, own: Identity): string {
  if (own.cluster !== undefined) return `not of cluster ${quote(own.cluster)}, as ours is`;
  return `of cluster ${quote(peer.cluster ?? "")}, and ours has no name`;
}
