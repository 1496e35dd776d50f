import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { AmalgamError } from "../errors.js";
import type { Log } from "../log/log.js";
import { quote } from "../quote.js";
import { formatAddress } from "../rpc/channel.js";
import { assertHttpLoopback, listen } from "./bind.js";
import { BodyTooLarge, bodyOf } from "./body.js";
import { Gatekeeper } from "./gatekeeper.js";
import { isLoopbackHostHeader, isOwnOrigin } from "./headers.js";
import { httpLimits } from "./limits.js";
import { logIn, logOut, noTokenHere, plain, tooOften } from "./login.js";
import type { HttpAnswer, HttpRequest, Route } from "./route.js";
import { findRoute } from "./router.js";
import { send } from "./send.js";

/** What a browser is shown. No certificate is asked of it. */
export interface HttpTls {
  /** PEM. */
  readonly certificate: Buffer;
  readonly key: Buffer;
}

export interface HttpOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Wanted on any but a loopback address. */
  readonly tls?: HttpTls | undefined;
  /** Lets those who show it change things. Without one nobody may. */
  readonly token?: string | undefined;
  readonly log: Log;
}

export interface HttpServer extends AsyncDisposable {
  /** `"http://127.0.0.1:8080"` */
  readonly url: string;
  /** Puts another certificate in place for new connections. */
  renew(tls: HttpTls): void;
  /** Ends every connection. */
  close(): Promise<void>;
}

/**
 * Serves `routes`, and `POST /login` and `/logout`, until it is closed. Refuses, with `usage`, an address that others can
 * reach without TLS. What is asked is limited by {@link httpLimits}.
 */
export async function serveHttp(routes: readonly Route[], options: HttpOptions): Promise<HttpServer> {
  const { host, port, tls, token, log } = options;
  if (tls === undefined) assertHttpLoopback(host);
  const onWrong = (address: string): void => log.warning(`A wrong token was shown from ${quote(address)}`, { address });
  const gatekeeper = new Gatekeeper(token, { isTls: tls !== undefined, onWrong });
  const limits = {
    maxHeaderSize: httpLimits.headerBytes,
    headersTimeout: httpLimits.headersMs,
    requestTimeout: httpLimits.requestMs,
    keepAliveTimeout: httpLimits.keepAliveMs,
    // Headers and bodies that take too long are looked for so often.
    connectionsCheckingInterval: 1_000,
  };
  const handshakeTimeout = httpLimits.headersMs;
  const secured = tls && createTlsServer({ ...limits, ...pem(tls), handshakeTimeout, minVersion: "TLSv1.2" });
  const server: Server = secured ?? createServer(limits);
  server.maxConnections = httpLimits.connections;
  // An answer that nobody reads would hold its connection, and itself in memory, for ever.
  server.timeout = httpLimits.stalledMs;
  const streams = new Set<ServerResponse>();
  // With TLS it comes after the handshake; whoever never begins one holds a socket, too.
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    void handle(request, response);
  });
  // Without a listener, what a client sends wrongly would be answered by Node with a page of its own.
  server.on("clientError", (_, socket) => socket.destroy());
  await listen(server, host, port);
  const bound = (server.address() as AddressInfo).port;

  /** Never fails. */
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    response.on("error", () => undefined);
    const { signal } = gone;
    const answer = await answerTo(request, signal).catch((error: unknown) => failed(request, error));
    if (signal.aborted) return;
    // A body that nobody read would be taken for the next request.
    if (!request.complete) response.setHeader("connection", "close");
    await stream(response, answer, signal).catch((error: unknown) => {
      if (!signal.aborted) failed(request, error);
      response.destroy();
    });
    if (!request.complete) request.destroy();
  }

  async function stream(response: ServerResponse, answer: HttpAnswer, signal: AbortSignal): Promise<void> {
    const isStream = typeof answer.body === "object" && !(answer.body instanceof Uint8Array);
    if (isStream && streams.size >= httpLimits.streams) {
      const full = plain(503, `${httpLimits.streams} others are watching already`);
      return send(response, { ...full, headers: { "retry-after": "10" } }, signal);
    }
    if (isStream) streams.add(response);
    try {
      await send(response, answer, signal);
    } finally {
      streams.delete(response);
    }
  }

  async function answerTo(request: IncomingMessage, signal: AbortSignal): Promise<HttpAnswer> {
    const { headers, method } = request;
    if (tls === undefined && !isLoopbackHostHeader(headers.host, bound)) {
      return plain(421, "This server is asked by its own address only, such as 127.0.0.1");
    }
    const url = urlOf(request, bound);
    if (url === undefined) return plain(400, "That is not a path");
    if (method === "POST" && !isOwnOrigin(headers, tls !== undefined)) {
      return plain(403, "Another site may not have this done");
    }
    const address = request.socket.remoteAddress ?? "";
    const shown = gatekeeper.look(headers, address);
    if (shown === "too often") return tooOften;
    const body = bodyOf(request);
    const asked: HttpRequest = { url, headers, body, isAuthenticated: shown === "right", signal };
    const found = findRoute([...routes, ...doors], method, url.pathname);
    if (found.kind === "nobody") return plain(404, "There is nothing here");
    if (found.kind === "other method") {
      return { ...plain(405, "That cannot be done here"), headers: { allow: found.allow } };
    }
    if (found.route.path === "/login") return await logIn(asked, gatekeeper, address);
    if (found.route.needsToken === true && shown !== "right") {
      const how = gatekeeper.hasToken ? "Show the token first" : noTokenHere;
      return { ...plain(401, how), headers: { "www-authenticate": 'Bearer realm="amalgam"' } };
    }
    return await found.route.answer(asked);
  }

  function failed(request: IncomingMessage, error: unknown): HttpAnswer {
    if (error instanceof BodyTooLarge) return plain(413, error.message);
    // It left in the middle of its own request: nobody reads what follows, and nothing is wrong here.
    if (request.destroyed && !request.complete) return plain(400, "The request has no end");
    const { message, code } = AmalgamError.from(error);
    const path = urlOf(request, bound)?.pathname ?? "";
    log.error(`Cannot answer ${request.method} ${quote(path)}: ${message}`, { code });
    return plain(500, "Something went wrong here; the log of the server says what");
  }

  const doors: readonly Route[] = [
    // It is answered where the address of whoever asks is known.
    { method: "POST", path: "/login", answer: () => plain(404, "") },
    { method: "POST", path: "/logout", answer: () => logOut(gatekeeper) },
  ];

  const close = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return {
    url: `${tls === undefined ? "http" : "https"}://${formatAddress(host, bound)}`,
    renew: (renewed) => secured?.setSecureContext(pem(renewed)),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function pem({ certificate, key }: HttpTls): { readonly cert: Buffer; readonly key: Buffer } {
  return { cert: certificate, key };
}

function urlOf({ url = "/" }: IncomingMessage, port: number): URL | undefined {
  if (!url.startsWith("/")) return undefined;
  try {
    // Only the path and the query are the client's.
    return new URL(`http://127.0.0.1:${port}${url}`);
  } catch {
    return undefined;
  }
}
