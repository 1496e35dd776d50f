import { type LookupAddress, lookup } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import { isPublicAddress, refusedReach } from "../reach.js";

const problem = "its host is not in the public Internet";

/** Fails with `source_refused` for a URL with a private address in the place of a host, which nobody looks up. */
export function assertPublic(url: string, trusted: ReadonlySet<string>): void {
  const { hostname } = new URL(url);
  const isAddress = isIP(hostname.replace(/^\[|\]$/g, "")) !== 0;
  if (trusted.has(hostname) || !isAddress || isPublicAddress(hostname)) return;
  throw refusedReach(url, problem);
}

/**
 * Looks names up for connections, and leaves out addresses that are not in the public Internet, unless the host is trusted.
 * What is checked is what is connected to, so that no name can come to mean another address in between.
 */
export function publicLookup(trusted: ReadonlySet<string>, resolve: typeof lookup = lookup): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found: LookupAddress[]) => {
      if (error !== null) return callback(error, "");
      const good = trusted.has(hostname) ? found : found.filter(({ address }) => isPublicAddress(address));
      const [first] = good;
      if (first === undefined) callback(refusedReach(`https://${hostname}`, problem), "");
      else if (options.all === true) callback(null, good);
      else callback(null, first.address, first.family);
    });
  };
}
