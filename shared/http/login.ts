import type { Gatekeeper } from "./gatekeeper.js";
import type { HttpAnswer, HttpRequest } from "./route.js";

/**
 * What `POST /login` answers to a form or JSON with a field `token`: a cookie and `303` to `/`, which is what a form
 * without any script wants. `POST /logout` takes the cookie back.
 */
export async function logIn(request: HttpRequest, gatekeeper: Gatekeeper, address: string): Promise<HttpAnswer> {
  const token = tokenIn((await request.body()).toString("utf8"), request.headers["content-type"] ?? "");
  if (token === undefined) return plain(400, 'Give the token in a field "token"');
  if (!gatekeeper.hasToken) return plain(401, noTokenHere);
  const shown = gatekeeper.judge(token, address);
  if (shown === "too often") return tooOften;
  if (shown !== "right") return plain(401, "That is not the token");
  return { ...plain(303, "Welcome"), headers: { location: "/", "set-cookie": gatekeeper.cookie } };
}

export function logOut(gatekeeper: Gatekeeper): HttpAnswer {
  return { ...plain(303, "Goodbye"), headers: { location: "/", "set-cookie": gatekeeper.noCookie } };
}

export function plain(status: number, text: string): HttpAnswer {
  return { status, type: "text/plain; charset=utf-8", body: `${text}\n` };
}

export const noTokenHere = 'Nothing can be changed here: the server was started without "--http-token-file"';

export const tooOften: HttpAnswer = {
  ...plain(429, "Too many wrong tokens: wait a minute"),
  headers: { "retry-after": "60" },
};

function tokenIn(text: string, type: string): string | undefined {
  if (!type.startsWith("application/json")) return new URLSearchParams(text).get("token")?.trim();
  try {
    const parsed: unknown = JSON.parse(text);
    const token = typeof parsed === "object" && parsed !== null && "token" in parsed ? parsed.token : undefined;
    return typeof token === "string" ? token.trim() : undefined;
  } catch {
    return undefined;
  }
}
