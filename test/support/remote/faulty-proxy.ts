import { once } from "node:events";
import { request as ask, createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import { portOf } from "./ports.js";

/** What becomes of one request. */
export type Fault =
  | { readonly kind: "status"; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** The connection is reset behind so many bytes of the body. */
  | { readonly kind: "cut"; readonly afterBytes: number }
  /** The right length is announced and the connection closed in peace before all of it came. */
  | { readonly kind: "truncate"; readonly bytes: number }
  | { readonly kind: "header"; readonly name: string; readonly value: string }
  /** `Range` is left out of account. */
  | { readonly kind: "whole" }
  | { readonly kind: "gzip" }
  /** One bit of the body is another, and nothing says so. */
  | { readonly kind: "flip" }
  /** The right length is not announced, and the body never ends. */
  | { readonly kind: "endless" }
  /** So many bytes at a time, with a pause between. */
  | { readonly kind: "slow"; readonly bytes: number; readonly everyMs: number }
  /** No answer. */
  | { readonly kind: "hang" }
  /** Something else altogether. */
  | { readonly kind: "body"; readonly content: string; readonly type: string };

export interface ProxiedRequest {
  /** From 0 on, of all requests. */
  readonly index: number;
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
}

export interface FaultyProxy extends AsyncDisposable {
  readonly url: string;
  readonly requests: readonly ProxiedRequest[];
  /** Body bytes that it gave away, all answers together. */
  readonly sentBytes: () => number;
}

/** An HTTP server that passes requests on to another, `http://host:port`, and spoils what it is told to. */
export async function startFaultyProxy(
  target: string,
  faultOf: (request: ProxiedRequest) => Fault | undefined,
): Promise<FaultyProxy> {
  const requests: ProxiedRequest[] = [];
  let sentBytes = 0;
  const server = createServer((request, response) => {
    response.on("error", () => undefined);
    const { method = "GET", url: path = "/", headers } = request;
    const proxied = { index: requests.length, method, path, range: headers.range };
    requests.push(proxied);
    const fault = faultOf(proxied);
    if (fault?.kind === "hang") return;
    if (fault?.kind === "status") {
      response.writeHead(fault.status, { "Content-Length": "0", ...fault.headers }).end();
      return;
    }
    void pass(target, { method, path, headers }, fault).then(
      (answer) => spoil(answer, fault, response, (bytes) => (sentBytes += bytes)),
      () => response.destroy(),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    requests,
    sentBytes: () => sentBytes,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

async function pass(
  target: string,
  { method, path, headers }: { readonly method: string; readonly path: string; readonly headers: IncomingHttpHeaders },
  fault: Fault | undefined,
): Promise<Answer> {
  const { range, host: _, ...others } = headers;
  const sent = { ...others, connection: "close", ...(range === undefined || fault?.kind === "whole" ? {} : { range }) };
  const onward = ask(`${target}${path}`, { method, headers: sent }).end();
  const [answer] = await once(onward, "response");
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk);
  const { connection: __, "keep-alive": ___, ...kept } = answer.headers;
  return { status: answer.statusCode, headers: kept, body: Buffer.concat(chunks) };
}

async function spoil(
  { status, headers, body }: Answer,
  fault: Fault | undefined,
  response: ServerResponse,
  count: (bytes: number) => void,
): Promise<void> {
  const send = (chunk: Buffer): Promise<void> => {
    count(chunk.length);
    return new Promise((resolve) => response.write(chunk, () => resolve()));
  };
  const { "content-length": length, ...unbounded } = headers;
  switch (fault?.kind) {
    case "cut":
    case "truncate": {
      response.writeHead(status, headers);
      await send(body.subarray(0, fault.kind === "cut" ? fault.afterBytes : fault.bytes));
      if (fault.kind === "cut") response.socket?.resetAndDestroy();
      else response.socket?.end();
      return;
    }
    case "header":
      response.writeHead(status, { ...headers, [fault.name.toLowerCase()]: fault.value });
      break;
    case "flip":
      body.writeUInt8(body.readUInt8(0) ^ 1, 0);
      response.writeHead(status, headers);
      break;
    case "gzip": {
      const packed = gzipSync(body);
      response.writeHead(status, { ...headers, "content-length": packed.length, "content-encoding": "gzip" });
      await send(packed);
      response.end();
      return;
    }
    case "endless": {
      response.writeHead(status, unbounded);
      await send(body);
      const more = Buffer.alloc(64 << 10, 0x61);
      while (!response.destroyed) await send(more);
      return;
    }
    case "slow": {
      response.writeHead(status, headers);
      for (let at = 0; at < body.length && !response.destroyed; at += fault.bytes) {
        await send(body.subarray(at, at + fault.bytes));
        await new Promise((resolve) => setTimeout(resolve, fault.everyMs));
      }
      response.end();
      return;
    }
    case "body": {
      const content = Buffer.from(fault.content);
      response.writeHead(200, { "content-type": fault.type, "content-length": content.length }).end(content);
      return;
    }
    default:
      response.writeHead(status, headers);
  }
  if (body.length > 0) await send(body);
  response.end();
}
