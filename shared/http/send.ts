import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { unlessAborted } from "../unless-aborted.js";
import { securityHeaders } from "./headers.js";
import type { HttpAnswer } from "./route.js";

/**
 * Sends an answer. One in parts is taken from its iterable only as fast as the other side reads; a side that does not read
 * for long is given up. The iterable is always told when nobody listens any more.
 */
export async function send(response: ServerResponse, answer: HttpAnswer, signal: AbortSignal): Promise<void> {
  const { status = 200, type, headers = {}, body } = answer;
  const isWhole = typeof body === "string" || body instanceof Uint8Array;
  const form = isWhole ? { "content-length": String(Buffer.byteLength(body)) } : unbuffered;
  response.writeHead(status, { ...securityHeaders, "content-type": type, ...form, ...lowerCased(headers) });
  const isHead = response.req.method === "HEAD";
  if (isWhole || isHead) {
    response.end(isWhole && !isHead ? body : undefined);
    return;
  }
  response.flushHeaders();
  await sendParts(response, body[Symbol.asyncIterator](), signal);
}

/** Proxies of nginx's kind keep parts until there are enough of them, unless they are told. */
const unbuffered = { "x-accel-buffering": "no" };

/** An error in the making of a part ends the connection: an answer that was cut off must not look like a whole one. */
async function sendParts(response: ServerResponse, parts: AsyncIterator<string>, signal: AbortSignal): Promise<void> {
  try {
    for (;;) {
      // A part may be long in coming, and the other side leaves meanwhile.
      const { done, value } = await unlessAborted(signal, parts.next());
      if (done === true) break;
      if (!response.write(value)) await drained(response, signal);
    }
    response.end();
  } catch (error) {
    response.destroy();
    throw error;
  } finally {
    // Not waited for: one that sleeps wakes by the request's signal.
    parts.return?.(undefined)?.then(undefined, () => undefined);
  }
}

/** Whoever reads nothing for long is hung up on, see `httpLimits.stalledMs`. */
async function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  if (response.writableNeedDrain) await once(response, "drain", { signal });
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
