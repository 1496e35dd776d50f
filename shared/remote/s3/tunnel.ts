import { request as requestHttp } from "node:http";
import { Agent, type AgentOptions, request as requestHttps } from "node:https";
import { connect } from "node:tls";
import { AmalgamError } from "../../errors.js";

const connectMs = 10_000;

/** Connections to servers through the tunnels of a proxy (`CONNECT`, RFC 9110, 9.3.6): what passes is encrypted from end to end. */
export class TunnelAgent extends Agent {
  readonly #proxy: URL;
  readonly #exempt: (host: string) => boolean;

  /** `exempt`: hosts that are connected to directly. */
  constructor(proxy: URL, exempt: (host: string) => boolean, options?: AgentOptions) {
    super(options);
    this.#proxy = proxy;
    this.#exempt = exempt;
  }

  override createConnection(...[options, done]: Parameters<Agent["createConnection"]>) {
    const { host = "localhost", port = 443 } = options;
    if (done === undefined || this.#exempt(host ?? "")) return super.createConnection(options, done);
    const { protocol, username, password } = this.#proxy;
    const target = `${host}:${port}`;
    const login = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString("base64");
    const headers = { host: target, ...(username !== "" && { "proxy-authorization": `Basic ${login}` }) };
    const asking = (protocol === "https:" ? requestHttps : requestHttp)({
      ...{ host: this.#proxy.hostname.replace(/^\[|\]$/g, ""), port: this.#proxy.port, method: "CONNECT" },
      ...{ path: target, headers, agent: false, timeout: connectMs },
    });
    // What comes with an error is no stream.
    const fail = (error: Error): void => (done as (error: Error) => void)(error);
    asking.once("connect", ({ statusCode }, socket) => {
      if (statusCode === 200) return done(null, connect({ ...options, socket, servername: host ?? "" } as object));
      socket.destroy();
      fail(new Error(`The proxy refuses to connect, with status ${statusCode}`));
    });
    asking.once("timeout", () => asking.destroy(new Error(`The proxy has not connected for ${connectMs / 1_000} s`)));
    asking.once("error", fail);
    asking.end();
    return undefined;
  }
}

/** As `HTTPS_PROXY` and `NO_PROXY` say, in either case; undefined: no proxy. Fails with `usage` for one that is no address. */
export function tunnelAgent(env: Readonly<Record<string, string | undefined>>): TunnelAgent | undefined {
  const [proxy, exempt] = ["https_proxy", "no_proxy"].map((name) => env[name] || env[name.toUpperCase()] || "");
  if (!proxy) return undefined;
  // The value is not shown: it may hold a password.
  if (!URL.canParse(proxy) || !/^https?:$/.test(new URL(proxy).protocol)) {
    throw new AmalgamError("usage", 'Cannot use HTTPS_PROXY: it is no address such as "http://proxy:3128"');
  }
  const suffixes = (exempt ?? "")
    .split(/[,\s]+/)
    .flatMap((word) => word.replace(/^\*?\./, "").replace(/:\d+$/, "") || []);
  const isExempt = (host: string): boolean =>
    suffixes.some((suffix) => suffix === "*" || host === suffix || host.endsWith(`.${suffix}`));
  return new TunnelAgent(new URL(proxy), isExempt, { keepAlive: true, maxSockets: 50 });
}
