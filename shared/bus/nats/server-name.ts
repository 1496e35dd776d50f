import { isIP } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";

/**
 * Whether a certificate is one for the server that was dialed, for `tls.connect()`. The client (2.29) hands on a server's name, and
 * of one that is known by its address nothing, in which case Node asks about "localhost": then it has to be for one of `hosts`.
 */
export function checkNatsServer(hosts: readonly string[]) {
  const addresses = hosts.filter((host) => isIP(host) !== 0);
  return (asked: string, certificate: PeerCertificate): Error | undefined => {
    const isName = asked.toLowerCase() !== "localhost" || addresses.length === 0;
    const named = hosts.includes("localhost") ? ["localhost", ...addresses] : addresses;
    const failures = (isName ? [asked] : named).map((host) => checkServerIdentity(host, certificate));
    return failures.includes(undefined) ? undefined : failures[0];
  };
}
