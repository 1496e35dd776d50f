import { formatBytes } from "../../bytes.js";
import { AmalgamError } from "../../errors.js";
import { printable, quote } from "../../quote.js";
import { shown } from "../url.js";
import type { Reply } from "./client.js";
import { parseRetryAfter, TryAgain } from "./retry.js";

/** Less than this in a while is a stall, and after less than this a failure counts as one more in a row. */
export const progressBytes = 64 << 10;

const passing: ReadonlySet<number> = new Set([408, 425, 429]);

/** Fails with {@link TryAgain} for an answer that says that the server, and not the question, is at fault. */
export async function assertWorking(reply: Reply): Promise<void> {
  const { status, headers } = reply;
  if (status < 500 && !passing.has(status)) return;
  await reply.discard();
  throw new TryAgain(`its server answers with ${status}`, { afterMs: parseRetryAfter(headers.get("retry-after")) });
}

/** A server that does not let us have something, or has no such thing. */
export function refusal(url: string, problem: string): AmalgamError {
  return new AmalgamError("source_refused", `Cannot read ${quote(shown(url))}: ${problem}`, {
    details: { file: shown(url) },
  });
}

/** More of a server's own words is not passed on. */
const maxWordsLength = 200;

/** What a server says, fit to print. */
export function wordsOf(text: string): string {
  return printable(text.slice(0, maxWordsLength));
}

/** A file that is not any more what it was when somebody looked; `now` in the server's words. */
export function changed(url: string, what: string, now: string, before: string): AmalgamError {
  return new AmalgamError(
    "checkpoint_changed",
    `Cannot go on with ${quote(shown(url))}: it was changed, its ${what} is ${wordsOf(now)} now and was ${before}`,
    { details: { file: shown(url) } },
  );
}

/** A server that would send without an end. `limit`: the most that it was to send, in words. */
export function tooMuch(url: string, limit: string): AmalgamError {
  const problem = `its server sends more than ${limit}`;
  return new AmalgamError("source_failed", `Cannot read ${quote(shown(url))}: ${problem}`, {
    details: { file: shown(url) },
  });
}

/** Told the bytes of a body so far, with each chunk, fails with {@link TryAgain} when next to nothing comes. */
export function stallWatch(stallMs: number): (bytes: number) => void {
  let since = { ms: performance.now(), bytes: 0 };
  return (bytes) => {
    const now = performance.now();
    if (now - since.ms < stallMs) return;
    if (bytes - since.bytes < progressBytes) {
      throw new TryAgain(`its server sent ${bytes - since.bytes} bytes in ${stallMs / 1000} s`);
    }
    since = { ms: now, bytes };
  };
}

/** Servers of logins and of single-page applications have a page for every address. */
export function isPage({ headers }: Reply): boolean {
  return /^text\/html\b/i.test(headers.get("content-type") ?? "");
}

export interface BodyLimits {
  readonly maxBytes: number;
  readonly stallMs: number;
}

/** The whole of a short body; a longer one is `source_failed`, and its connection is cut. */
export async function readBody(url: string, reply: Reply, { maxBytes, stallMs }: BodyLimits): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const assertFlowing = stallWatch(stallMs);
  let bytes = 0;
  for await (const chunk of reply.body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    // Leaving the loop destroys the body, and with it the connection.
    if (bytes > maxBytes) throw tooMuch(url, `the ${formatBytes(maxBytes)} that such an answer may have`);
    assertFlowing(bytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
