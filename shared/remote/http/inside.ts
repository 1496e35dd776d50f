import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { isPublicAddress } from "../reach.js";

/**
 * Tells hosts of a private network from those in the public Internet. Each is looked up once: a name that comes to mean another
 * address stays what it was. One that nobody knows here, as behind a proxy, counts as public.
 */
export class Insiders {
  readonly #isPublic: (address: string) => boolean;
  readonly #known = new Map<string, Promise<boolean>>();

  constructor(isPublic = isPublicAddress) {
    this.#isPublic = isPublic;
  }

  /** `host` is as `URL.hostname` has it. */
  isInside(host: string): Promise<boolean> {
    const known = this.#known.get(host) ?? this.#look(host);
    this.#known.set(host, known);
    return known;
  }

  async #look(host: string): Promise<boolean> {
    const bare = host.replace(/^\[|\]$/g, "");
    if (isIP(bare) !== 0) return !this.#isPublic(bare);
    try {
      const found = await lookup(bare, { all: true });
      return !found.some(({ address }) => this.#isPublic(address));
    } catch {
      this.#known.delete(host);
      return false;
    }
  }
}
