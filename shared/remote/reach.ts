import { BlockList, isIP } from "node:net";
import { AmalgamError } from "../errors.js";
import { quote, quoteList } from "../quote.js";
import { isBelow, parseRemote, problemOfRoot, shown } from "./url.js";

/**
 * How far addresses reach that somebody else wrote. Whoever reads for others has credentials, and sees hosts, that they do
 * not: what none of `roots` covers is refused, and so are addresses of private networks, whatever name leads to them.
 */
export interface Reach {
  /** Addresses below which models may be, see `isBelow()`. Their hosts may be anywhere. @default public hosts, all of S3 and the Hub */
  readonly roots?: readonly string[] | undefined;
}

/** Fails with `usage` for one that is no address. */
export function assertRoots(roots: readonly string[], option: string): void {
  for (const root of roots) {
    const problem = problemOfRoot(root);
    if (problem !== undefined)
      throw new AmalgamError("usage", `Cannot use ${option} ${quote(shown(root))}: ${problem}`);
  }
}

/** Fails with `source_refused` for an address that no root covers. */
export function assertWithin(url: string, { roots }: Reach): void {
  if (roots === undefined || roots.some((root) => isBelow(url, root))) return;
  throw refusedReach(url, `this coordinator reads models below ${quoteList(roots)} alone`);
}

/** Hosts that the roots name, as `URL.hostname` has them. */
export function hostsOf({ roots = [] }: Reach): ReadonlySet<string> {
  const urls = roots.map((root) => parseRemote(root).address).filter((address) => address?.scheme === "https");
  return new Set(urls.map((address) => new URL(address?.url ?? "").hostname));
}

/** Hosts that are connected to: those in the public Internet, and those that whoever runs this process has named. */
export interface HostRule {
  /** As `URL.hostname` has them. They may be anywhere. */
  readonly named: ReadonlySet<string>;
  /** @default {@link isPublicAddress} */
  readonly isPublic?: ((address: string) => boolean) | undefined;
  /** Who may allow another one, as the end of a message. */
  readonly remedy: string;
}

export const remedyOfCoordinators = 'who runs the coordinator may allow it with "--allow-source"';

/** Says nothing of the addresses that a name stands for, which whoever has only the name need not know. */
export function refusedReach(url: string, problem: string, remedy = remedyOfCoordinators): AmalgamError {
  return new AmalgamError("source_refused", `Cannot read ${quote(shown(url))}: ${problem}; ${remedy}`, {
    details: { file: shown(url) },
  });
}

/** Whether an IP address leads into the public Internet: no loopback, no private network, no machine's metadata. */
export function isPublicAddress(address: string): boolean {
  const bare = address.replace(/^\[|\]$|%.*$/g, "");
  const family = isIP(bare);
  if (family === 0) return false;
  if (family === 4) return !special.check(bare, "ipv4");
  const embedded = embeddedIpv4(bare);
  if (embedded !== undefined) return isPublicAddress(embedded);
  return unicast.check(bare, "ipv6") && !special.check(bare, "ipv6");
}

/** IPv4 in IPv6: as a socket maps it (RFC 4291), and as a gateway translates it (RFC 6052). */
function embeddedIpv4(address: string): string | undefined {
  if (!mapped.check(address, "ipv6")) return undefined;
  const tail = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::").at(-1)?.split(":") ?? [];
  const [high, low] = [tail.at(-2), tail.at(-1)].map((word) => Number.parseInt(word || "0", 16));
  const bytes = [(high ?? 0) >> 8, (high ?? 0) & 255, (low ?? 0) >> 8, (low ?? 0) & 255];
  return bytes.join(".");
}

function blocks(type: "ipv4" | "ipv6", networks: readonly string[], list = new BlockList()): BlockList {
  for (const network of networks) {
    const [net = "", bits] = network.split("/");
    list.addSubnet(net, Number(bits), type);
  }
  return list;
}

// IANA's registries of special-purpose addresses: https://www.iana.org/assignments/iana-ipv4-special-registry
const special = blocks(
  "ipv6",
  ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"],
  blocks("ipv4", [
    ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"],
    ...["192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"],
    ...["203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"],
  ]),
);
const unicast = blocks("ipv6", ["2000::/3"]);
const mapped = blocks("ipv6", ["::ffff:0:0/96", "64:ff9b::/96"]);
