import { AmalgamError } from "../errors.js";

type Environment = Readonly<Record<string, string | undefined>>;

/** Hosts that every proxy is spared. */
export const spared = ["localhost", "127.0.0.1", "[::1]"];

/** The variable in either case, the lower one first; empty: not set. */
export function proxyVariable(name: "HTTP_PROXY" | "HTTPS_PROXY" | "NO_PROXY", env: Environment): string {
  return env[name.toLowerCase()] || env[name] || "";
}

/** The address of a proxy; undefined: none. Fails with `usage` for one that is no address, without showing it: it may hold a password. */
export function proxyIn(name: "HTTP_PROXY" | "HTTPS_PROXY", env: Environment): URL | undefined {
  const value = proxyVariable(name, env);
  if (value === "") return undefined;
  try {
    const url = new URL(value);
    decodeURIComponent(`${url.username}:${url.password}`);
    if (/^https?:$/.test(url.protocol)) return url;
  } catch {
    // The same as another protocol.
  }
  throw new AmalgamError("usage", `Cannot use ${name}: it is no address such as "http://proxy:3128"`);
}
