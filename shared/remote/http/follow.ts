import { AmalgamError } from "../../errors.js";
import { quote } from "../../quote.js";
import { isLoopbackHost, shown } from "../url.js";
import type { Ask, HttpClient, Reply } from "./client.js";

export interface Following extends Ask {
  /** Sent to the origin of `url` and to no other, and not there either once an answer led elsewhere, as in `fetch`. */
  readonly authorization?: string | undefined;
  /** Whether to go where an answer points; where not, that answer is the result. @default always */
  readonly goesOn?: (to: URL) => boolean;
}

export interface Followed {
  readonly reply: Reply;
  /** Whence the answer came. */
  readonly url: string;
}

const maxRedirects = 5;
const redirecting: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Where an answer points; undefined: nowhere. */
export function redirectOf({ status, headers }: Reply, from: string): URL | undefined {
  const location = headers.get("location");
  if (!redirecting.has(status) || location === undefined) return undefined;
  return URL.canParse(location, from) ? new URL(location, from) : undefined;
}

/** Asks, and goes where the answers point: at most five times, never from TLS to plain HTTP. */
export async function follow(client: HttpClient, following: Following): Promise<Followed> {
  const { authorization, goesOn = () => true } = following;
  const { origin } = new URL(following.url);
  let { url } = following;
  let isHome = authorization !== undefined;
  for (let redirects = 0; ; redirects += 1) {
    isHome &&= new URL(url).origin === origin;
    const headers = { ...following.headers, ...(isHome && authorization !== undefined && { authorization }) };
    const reply = await client.ask({ ...following, url, headers });
    const to = redirectOf(reply, url);
    if (to === undefined || !goesOn(to)) return { reply, url };
    await reply.discard();
    if (redirects === maxRedirects) throw refused(following.url, `it leads on more than ${maxRedirects} times`);
    assertSafe(following.url, new URL(url), to);
    url = to.href;
  }
}

/** Fails, with `source_refused`, for a redirect that would give up what the first address promised. */
export function assertSafe(asked: string, from: URL, to: URL): void {
  if (to.protocol === "https:") return;
  const isLocal = to.protocol === "http:" && from.protocol === "http:" && isLoopbackHost(to.hostname);
  if (!isLocal)
    throw refused(asked, `it leads to ${quote(shown(`${to.protocol}//${to.host}`))}, which is not "https://"`);
}

function refused(url: string, problem: string): AmalgamError {
  return new AmalgamError("source_refused", `Cannot read ${quote(shown(url))}: ${problem}`, {
    details: { file: shown(url) },
  });
}
