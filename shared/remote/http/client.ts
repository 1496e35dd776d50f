import type { LookupFunction } from "node:net";
import type { Readable } from "node:stream";
import { type Dispatcher, EnvHttpProxyAgent, request } from "undici";
import { ByteGate } from "../../checkpoint/byte-gate.js";
import { proxyIn, proxyVariable, spared } from "../proxy.js";
import type { HostRule } from "../reach.js";
import type { Patience, RemoteOptions } from "../remote-store.js";
import { assertPublic, publicLookup } from "./public-hosts.js";

/** What a server answered, as far as it is here: the body still comes, and must be read or discarded. */
export interface Reply {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Readable;
  /** Reads what is left of a short body, so that the connection can be used again; cuts a long or slow one. */
  readonly discard: () => Promise<void>;
}

export interface Ask {
  readonly method: "GET" | "HEAD";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal | undefined;
}

/** Asks servers and follows nothing; shared by all stores, and with it connections and the limit of bytes on their way. */
export interface HttpClient {
  readonly ask: (ask: Ask) => Promise<Reply>;
  readonly gate: ByteGate;
  readonly patience: Patience;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly close: () => Promise<void>;
}

const defaultPatience: Patience = {
  tries: 8,
  firstDelayMs: 500,
  maxDelayMs: 20_000,
  maxRetryAfterMs: 60_000,
  connectMs: 10_000,
  stallMs: 30_000,
};
const defaultInFlightBytes = 64 << 20;
const maxConnectionsPerServer = 32;
const idleMs = 30_000;
/** A connection that is not free by then costs more to wait for than a new one. */
const discardMs = 2_000;
const discardBytes = 128 << 10;

/** `rule`: without one, hosts may be anywhere, and are where `lookup` says. Proxies look names up themselves. */
export function createHttpClient(options: RemoteOptions, rule?: HostRule, lookup?: LookupFunction): HttpClient {
  const { env = process.env, maxInFlightBytes = defaultInFlightBytes } = options;
  const patience = { ...defaultPatience, ...options.patience };
  const found = rule === undefined ? lookup : publicLookup(rule);
  const noProxy = proxyVariable("NO_PROXY", env);
  const agent = new EnvHttpProxyAgent({
    httpProxy: proxyIn("HTTP_PROXY", env)?.href ?? "",
    httpsProxy: proxyIn("HTTPS_PROXY", env)?.href ?? "",
    // A star counts alone.
    noProxy: /(^|[,\s])\*($|[,\s])/.test(noProxy) ? "*" : [noProxy, ...spared].filter(Boolean).join(","),
    connections: maxConnectionsPerServer,
    keepAliveTimeout: idleMs,
    headersTimeout: patience.stallMs,
    bodyTimeout: patience.stallMs,
    connect: { timeout: patience.connectMs, ...(found && { lookup: found }) },
  });
  return {
    ask: async ({ method, url, headers, signal }) => {
      if (rule !== undefined) assertPublic(url, rule);
      const sent = { "user-agent": "amalgam", "accept-encoding": "identity", ...headers };
      const answer = await request(url, { method, headers: sent, dispatcher: agent, ...(signal && { signal }) });
      const { statusCode, body } = answer;
      // A body that nobody waits for may still fail when its connection does.
      body.on("error", () => undefined);
      return {
        status: statusCode,
        headers: flat(answer.headers),
        body,
        discard: () => discard(body, Math.min(discardMs, patience.stallMs)),
      };
    },
    gate: new ByteGate(maxInFlightBytes),
    patience,
    env,
    // Not close(), which would wait for bodies that nobody reads any more.
    close: () => agent.destroy(),
  };
}

async function discard(body: Dispatcher.ResponseData["body"], ms: number): Promise<void> {
  await body.dump({ limit: discardBytes, signal: AbortSignal.timeout(ms) }).catch(() => undefined);
}

function flat(headers: Readonly<Record<string, string | string[] | undefined>>): ReadonlyMap<string, string> {
  const pairs = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), [value ?? ""].flat().join(", ")]);
  return new Map(pairs as [string, string][]);
}
