import type { IncomingHttpHeaders } from "node:http";

/**
 * What every answer says to browsers. Nothing is loaded from elsewhere, nobody puts the page into a frame of theirs,
 * nothing is guessed, kept or told to others. Styles and scripts come from files of the same server; a page that has them
 * inside gives its own policy.
 */
export const securityHeaders: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
  "cache-control": "no-store",
};

/**
 * Whether a request to a server on loopback was meant for it. A page of somebody else can have its own name resolve to
 * 127.0.0.1 and so ask with the visitor's rights (DNS rebinding); the name is in the Host header then.
 */
export function isLoopbackHostHeader(header: string | undefined, port: number): boolean {
  const match = /^(\[[0-9a-f:]+\]|[^:[\]]+)(?::(\d{1,5}))?$/i.exec(header ?? "");
  const [host = "", given] = [match?.[1]?.toLowerCase(), match?.[2]];
  const isLoopback = host === "localhost" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
  return isLoopback && Number(given ?? 80) === port;
}

/**
 * Whether what a browser sent came from a page of this very server. Browsers say so themselves; behind a proxy, and for a
 * form under our referrer policy (whose Origin is `null`), no other header does. Programs that are not browsers send neither.
 */
export function isOwnOrigin(headers: IncomingHttpHeaders, isTls: boolean): boolean {
  const { origin, host } = headers;
  const site = headers["sec-fetch-site"];
  if (site !== undefined) return site === "same-origin" || site === "none";
  return origin === undefined || origin === `${isTls ? "https" : "http"}://${host}`;
}
