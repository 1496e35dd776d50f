import type { Route } from "./route.js";

export type Found =
  | { readonly kind: "route"; readonly route: Route }
  /** The path is served, by these methods. */
  | { readonly kind: "other method"; readonly allow: string }
  | { readonly kind: "nobody" };

/** Who serves a path: an exact path before a longer `*`, and that before a shorter. HEAD is GET without its body. */
export function findRoute(routes: readonly Route[], method: string | undefined, path: string): Found {
  const serving = routes.filter((route) => serves(route.path, path)).sort((a, b) => rank(b.path) - rank(a.path));
  const asked = method === "HEAD" ? "GET" : method;
  const route = serving.find((candidate) => candidate.method === asked);
  if (route !== undefined) return { kind: "route", route };
  if (serving.length === 0) return { kind: "nobody" };
  const methods = new Set(serving.map((candidate) => candidate.method));
  return { kind: "other method", allow: [...methods, ...(methods.has("GET") ? ["HEAD"] : [])].join(", ") };
}

function serves(pattern: string, path: string): boolean {
  return pattern.endsWith("*") ? path.startsWith(pattern.slice(0, -1)) : pattern === path;
}

function rank(pattern: string): number {
  return pattern.endsWith("*") ? pattern.length : Number.MAX_SAFE_INTEGER;
}
