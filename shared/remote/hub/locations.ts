import type { RemoteFile } from "../remote-store.js";

/** Where a file's bytes are to be had for a while: a CDN's address, whose query is a signature. */
export interface HubLocation {
  /** Never printed. */
  readonly url: string;
  /** In milliseconds since 1970. */
  readonly expiresAt: number;
}

interface Entry {
  readonly pending: Promise<HubLocation>;
  location?: HubLocation;
}

/** Whatever an address does not say of its own life. The Hub signs for an hour and more. */
const unknownLifeMs = 10 * 60_000;
/** A request that begins in time may arrive too late. */
const marginMs = 30_000;
const maxKept = 4096;

/** When a signed address ends: CloudFront's `Expires`, S3's `X-Amz-Date` and `X-Amz-Expires`. */
export function expiryOf(url: URL, now: number): number {
  const expires = url.searchParams.get("Expires");
  if (expires !== null && /^\d{1,12}$/.test(expires)) return Number(expires) * 1000;
  const seconds = url.searchParams.get("X-Amz-Expires");
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(url.searchParams.get("X-Amz-Date") ?? "");
  if (match === null || seconds === null || !/^\d{1,8}$/.test(seconds)) return now + unknownLifeMs;
  const [year, month, day, hour, minute, second] = match.slice(1);
  const signedAt = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(signedAt) ? now + unknownLifeMs : signedAt + Number(seconds) * 1000;
}

/** Where files are: each is asked for once, however many read it, and again when its address has expired. */
export class HubLocations {
  readonly #known = new Map<string, Entry>();
  readonly #tags = new Map<string, string>();

  /** The place of a file, from `locate` if it is not known. */
  get({ url }: RemoteFile, locate: () => Promise<HubLocation>): Promise<HubLocation> {
    const known = this.#known.get(url);
    const { location } = known ?? {};
    if (known !== undefined && (location === undefined || Date.now() < location.expiresAt - marginMs)) {
      return known.pending;
    }
    const entry: Entry = { pending: locate() };
    keep(this.#known, url, entry);
    entry.pending.then(
      (found) => {
        entry.location = found;
      },
      () => this.#forget(url, entry),
    );
    return entry.pending;
  }

  /** Forgets a place that did not hold what it promised, unless another is known by now. */
  drop({ url }: RemoteFile, location: HubLocation): void {
    const entry = this.#known.get(url);
    if (entry?.location === location) this.#forget(url, entry);
  }

  /** The ETag that this place, signatures aside, had for the file before; remembers this one if it is the first. */
  tagBefore({ url }: RemoteFile, location: HubLocation, tag: string): string {
    const place = `${url} ${location.url.replace(/\?.*$/s, "")}`;
    const before = this.#tags.get(place);
    if (before === undefined) keep(this.#tags, place, tag);
    return before ?? tag;
  }

  #forget(url: string, entry: Entry): void {
    if (this.#known.get(url) === entry) this.#known.delete(url);
  }
}

/** Sets a value, and lets the oldest of too many go. */
function keep<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > maxKept && oldest !== undefined) map.delete(oldest);
}
