import { AmalgamError } from "../../../shared/errors.js";
import { quote, quoteList } from "../../../shared/quote.js";
import { hubUrl, isCommit } from "../../../shared/remote/hub-address.js";
import { isRemote, parseRemote } from "../../../shared/remote/url.js";
import { type NamedPart, urlOf, writtenPart } from "../../sources/remote-names.js";

/** Which addresses of models a command may read, and who is told of them. */
export interface Addresses {
  /** Hosts of `https://` addresses, with their port if they have one. The Hub and buckets are the user's own to set. */
  readonly allowedHosts: readonly string[];
  /** Called with all addresses, if there are any, before one of them is read. */
  readonly onAddresses?: ((urls: readonly string[]) => void) | undefined;
}

/**
 * Whether an address that a manifest has for a model is the one that the model is named by, with nothing but its revision
 * filled in. Any other would pass one model off as another.
 */
export function isPinned(origin: string, part: NamedPart): boolean {
  const asked = isRemote(part.path) ? urlOf(part).url : hubUrl(part.path, part.revision);
  const [named, found] = [asked ?? "", origin].map((url) => parseRemote(url).address);
  if (named === undefined || found === undefined || named.authority !== found.authority) return false;
  const revision = named.hub?.revision;
  if (revision !== undefined && isCommit(revision) && revision !== found.hub?.revision) return false;
  return named.segments.join("/") === found.segments.join("/");
}

export function assertPinned(origin: string, part: NamedPart): void {
  if (isPinned(origin, part)) return;
  const problem = `the manifest has it from ${quote(origin)}, which is another model's address`;
  throw new AmalgamError("checkpoint_malformed", `Cannot take model ${quote(writtenPart(part))}: ${problem}`);
}

/**
 * Says which addresses are about to be read, and refuses hosts that nobody allowed with `usage`: whoever wrote a manifest
 * could have this machine ask any server that it reaches.
 */
export function assertAllowed(urls: readonly string[], { allowedHosts, onAddresses }: Addresses): void {
  if (urls.length === 0) return;
  const hosts = new Set(urls.map(hostOf).filter((host) => host !== undefined));
  const unknown = [...hosts].filter((host) => !allowedHosts.includes(host));
  if (unknown.length > 0) {
    const options = unknown.slice(0, 4).map((host) => `--allow-host ${host}`);
    throw new AmalgamError(
      "usage",
      `The manifest has models on ${quoteList(unknown)}: if you know who that is, add ${options.join(" ")}`,
    );
  }
  onAddresses?.([...new Set(urls)]);
}

/** As `URL.host` has it; undefined for what is no `https://` address. */
function hostOf(url: string): string | undefined {
  const { address } = parseRemote(url);
  return address?.scheme === "https" ? new URL(address.url).host : undefined;
}
