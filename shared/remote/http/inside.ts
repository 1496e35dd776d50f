import { type LookupAddress, lookup as lookUp } from "node:dns";
import { lookup } from "node:dns/promises";
import { isIP, type LookupFunction } from "node:net";
import { isPublicAddress } from "../reach.js";

/**
 * Tells hosts of a private network from those in the public Internet. Each is looked up once: a name that comes to mean another
 * address stays what it was. One that nobody knows here, as behind a proxy, counts as public.
 */
export class Insiders {
  readonly #isPublic: (address: string) => boolean;
  readonly #known = new Map<string, Promise<boolean>>();
  readonly #inside = new Set<string>();

  constructor(isPublic = isPublicAddress) {
    this.#isPublic = isPublic;
  }

  /** `host` is as `URL.hostname` has it. */
  isInside(host: string): Promise<boolean> {
    const known = this.#known.get(host) ?? this.#look(host);
    this.#known.set(host, known);
    return known;
  }

  /**
   * For connections: one that was found inside is reached there. Its name could be made to stand for a private address while it is
   * looked at, and for its own when it answers, with what leads to any other.
   */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    lookUp(hostname, { ...options, all: true }, (error, found: LookupAddress[]) => {
      if (error !== null) return callback(error, "");
      const good = this.#inside.has(hostname) ? found.filter(({ address }) => !this.#isPublic(address)) : found;
      const [first] = good;
      if (first === undefined) {
        // It has moved, or is said to: it is looked at anew.
        this.#known.delete(hostname);
        callback(new Error(`${hostname} was in a private network, and is not any more`), "");
      } else if (options.all === true) callback(null, good);
      else callback(null, first.address, first.family);
    });
  };

  async #look(host: string): Promise<boolean> {
    const bare = host.replace(/^\[|\]$/g, "");
    if (isIP(bare) !== 0) return !this.#isPublic(bare);
    try {
      const found = await lookup(bare, { all: true });
      const isInside = !found.some(({ address }) => this.#isPublic(address));
      if (isInside) this.#inside.add(host);
      else this.#inside.delete(host);
      return isInside;
    } catch {
      this.#known.delete(host);
      return false;
    }
  }
}
