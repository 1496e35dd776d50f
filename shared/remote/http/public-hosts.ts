import { type LookupAddress, lookup } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import { type HostRule, isPublicAddress, refusedReach } from "../reach.js";

const problem = "its host is not in the public Internet";

/** Fails with `source_refused` for a URL with a private address in the place of a host, which nobody looks up. */
export function assertPublic(url: string, { named, isPublic = isPublicAddress, remedy }: HostRule): void {
  const { hostname } = new URL(url);
  const isAddress = isIP(hostname.replace(/^\[|\]$/g, "")) !== 0;
  if (named.has(hostname) || !isAddress || isPublic(hostname)) return;
  throw refusedReach(url, problem, remedy);
}

/**
 * Looks names up for connections, and leaves out addresses that are not in the public Internet, unless the host is named.
 * What is checked is what is connected to, so that no name can come to mean another address in between.
 */
export function publicLookup(rule: HostRule, resolve: typeof lookup = lookup): LookupFunction {
  const { named, isPublic = isPublicAddress, remedy } = rule;
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found: LookupAddress[]) => {
      if (error !== null) return callback(error, "");
      const good = named.has(hostname) ? found : found.filter(({ address }) => isPublic(address));
      const [first] = good;
      if (first === undefined) callback(refusedReach(`https://${hostname}`, problem, remedy), "");
      else if (options.all === true) callback(null, good);
      else callback(null, first.address, first.family);
    });
  };
}
