import type { ClientRequest } from "node:http";
import { isIPv6, type Socket } from "node:net";
import { connect } from "node:tls";
import { HttpsProxyAgent } from "https-proxy-agent";
import { getProxyForUrl } from "proxy-from-env";
import { proxyIn, spared } from "../proxy.js";

type Options = Parameters<HttpsProxyAgent<string>["connect"]>[1];

/** Connections through the tunnels of a proxy (`CONNECT`, RFC 9110, 9.3.6): what passes is encrypted from end to end. */
export class TunnelAgent extends HttpsProxyAgent<string> {
  /** Hosts that `NO_PROXY` names are connected to directly. */
  constructor(proxy: URL) {
    const { username, password } = proxy;
    const login = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString("base64");
    const address = new URL(proxy);
    // The library shows its address where DEBUG is set.
    address.username = "";
    address.password = "";
    super(address, {
      ...{ keepAlive: true, maxSockets: 50, noDelay: true },
      headers: username || password ? { "Proxy-Authorization": `Basic ${login}` } : {},
    });
  }

  /** Guessed otherwise, and not always alike: connections would not be used again. */
  override isSecureEndpoint(): boolean {
    return true;
  }

  override async connect(request: ClientRequest, options: Options): Promise<Socket> {
    if (isSpared(options.host ?? "localhost", options.port ?? 443)) return connect(options as object);
    let status: number | undefined;
    request.once("proxyConnect", ({ statusCode }: { readonly statusCode: number }) => {
      status = statusCode;
    });
    const socket = await super.connect(request, options);
    if (status === 200) return socket;
    // It would play what the proxy says, as if the server had said it.
    socket.destroy();
    throw new Error(`The proxy refuses to connect, with status ${status}`);
  }
}

/** As `HTTPS_PROXY` says, in either case; undefined: no proxy. Fails with `usage` for one that is no address. */
export function tunnelAgent(env: Readonly<Record<string, string | undefined>>): TunnelAgent | undefined {
  const proxy = proxyIn("HTTPS_PROXY", env);
  return proxy && new TunnelAgent(proxy);
}

/** A name in `NO_PROXY` is of all names below it, as undici and curl have it. */
function isSpared(host: string, port: number): boolean {
  const shown = isIPv6(host) ? `[${host}]` : host.toLowerCase();
  const labels = shown.split(".");
  const names = [`any.${shown}`, ...labels.map((_, index) => labels.slice(index).join("."))];
  return spared.includes(shown) || names.some((name) => getProxyForUrl(`https://${name}:${port}`) === "");
}
