import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { connect, type PeerCertificate, type TLSSocket } from "node:tls";
import { quote } from "../../quote.js";
import { parseAddress } from "../channel.js";
import { describeIdentity, identityOf } from "./identity.js";
import type { LiveCredentials } from "./live-credentials.js";

/** How long the other side may take to say what it has against us. */
const patienceMs = 2_000;

/**
 * Why a handshake with the server at `address` fails, in words; undefined when it does not, or nobody is there. gRPC's own
 * reason is OpenSSL's, and of a server that refuses *us* there is none at all: TLS 1.3 tells it after the handshake. So one
 * more connection is made, on which nothing is sent.
 */
export async function explainHandshake(live: LiveCredentials, address: string): Promise<string | undefined> {
  const { host, port } = parseAddress(address);
  const { ca, certificate, key } = live.current;
  const servername = isIP(host) === 0 ? { servername: host } : {};
  const socket = connect({
    ...{ host, port, ca, cert: certificate, key, ...servername },
    ALPNProtocols: ["h2"],
    // Whatever is wrong with the server's certificate, it is the certificate that is looked at.
    rejectUnauthorized: false,
  });
  try {
    const ending = await outcome(socket);
    return whatIsWrongWithIt(socket, live) ?? whatIsWrongWithUs(ending, live);
  } finally {
    socket.destroy();
  }
}

/** Greeted, or left in silence; hung up on after the handshake; or what broke. */
type Ending = "greeted" | "hung up" | NodeJS.ErrnoException;

function outcome(socket: TLSSocket): Promise<Ending> {
  return new Promise((resolve) => {
    const settle = (ending: Ending): void => {
      clearTimeout(timer);
      resolve(ending);
    };
    const timer = setTimeout(() => settle("greeted"), patienceMs);
    socket.once("error", settle);
    socket.once("data", () => settle("greeted"));
    socket.once("close", () => settle("hung up"));
    socket.once("secureConnect", () => {
      if (!socket.authorized) settle("greeted");
    });
  });
}

/** What is wrong with the server's certificate. */
function whatIsWrongWithIt(socket: TLSSocket, live: LiveCredentials): string | undefined {
  const problem = socket.authorizationError as Error | string | undefined;
  // A socket that was hung up on has none any more.
  const raw = (socket.getPeerCertificate() as PeerCertificate | null)?.raw;
  if (raw === undefined || !problem) return undefined;
  const certificate = new X509Certificate(raw);
  const identity = identityOf(certificate);
  const its = `its certificate, of ${describeIdentity(identity)},`;
  const code = typeof problem === "string" ? problem : ((problem as NodeJS.ErrnoException).code ?? problem.message);
  if (code === "CERT_HAS_EXPIRED") return `${its} expired on ${identity.validTo.toISOString()}`;
  if (code === "CERT_NOT_YET_VALID") return `${its} counts from ${identity.validFrom.toISOString()}, which is to come`;
  if (authorityProblems.has(code)) {
    const trusted = live.files === undefined ? "" : ` those in ${quote(live.files.ca)}`;
    return `${its} was signed by ${quote(nameOf(certificate.issuer))}, which is not among the authorities that we trust${trusted && `,${trusted}`}`;
  }
  // Names are looked at by the one who asked.
  return code === "ERR_TLS_CERT_ALTNAME_INVALID" ? undefined : `${its} is not accepted: ${code}`;
}

const authorityProblems: ReadonlySet<string> = new Set([
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "CERT_SIGNATURE_FAILURE",
]);

/** What is wrong with ours, or with the way. OpenSSL has an alert for each; Node just hangs up. */
function whatIsWrongWithUs(ending: Ending, live: LiveCredentials): string | undefined {
  if (ending === "greeted") return undefined;
  const code = ending === "hung up" ? "" : (ending.code ?? "");
  if (/PROTOCOL_VERSION/.test(code)) return "it speaks no TLS that we do, which is 1.2 and 1.3";
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH/.test(code)) return "it does not speak TLS";
  if (ending !== "hung up" && !/ALERT|ECONNRESET|EPIPE/.test(code)) return undefined;
  const { name, validTo } = live.identity;
  const ours = `it refuses our certificate, of ${quote(name)}`;
  if (validTo.getTime() <= Date.now()) return `${ours}: it expired on ${validTo.toISOString()}`;
  const issuer = nameOf(new X509Certificate(live.current.certificate).issuer);
  return `${ours}: it was signed by ${quote(issuer)}, whom the other side may not trust, or it has been revoked; its own log says more`;
}

/** `CN=…` of lines of a distinguished name. */
function nameOf(distinguished: string): string {
  return /^CN=(.*)$/m.exec(distinguished)?.[1] ?? distinguished.replaceAll("\n", ", ");
}
