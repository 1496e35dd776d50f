import { once } from "node:events";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";

/** What is asked of S3, in S3's words. */
export type S3Operation =
  | "CreateMultipartUpload"
  | "UploadPart"
  | "CompleteMultipartUpload"
  | "AbortMultipartUpload"
  | "ListParts"
  | "PutObject"
  | "GetObject"
  | "HeadObject"
  | "DeleteObject"
  | "Other";

export interface S3Request {
  readonly operation: S3Operation;
  readonly key: string;
  /** Among requests of this operation, from 1 on. */
  readonly count: number;
  readonly headers: IncomingMessage["headers"];
}

/** What becomes of a request. */
export type S3Fault =
  /** The server never sees it. */
  | { readonly kind: "answer"; readonly status: number; readonly error: string }
  /** The server does it, and the client does not hear of it: the connection ends. */
  | { readonly kind: "lost answer" }
  /** The server does it, and the client is told otherwise. */
  | { readonly kind: "wrong answer"; readonly status: number; readonly error: string }
  /** The server never sees it, and nobody answers. */
  | { readonly kind: "silence" }
  /** The connection ends after so many bytes of the answer's body. */
  | { readonly kind: "cut"; readonly bytes: number }
  /** The server does it twice. */
  | { readonly kind: "twice" }
  /** Headers of the answer are others, or missing. */
  | { readonly kind: "headers"; readonly headers: Readonly<Record<string, string | undefined>> };

export type S3Rule = (request: S3Request) => S3Fault | undefined;

export interface S3Proxy extends AsyncDisposable {
  /** `http://127.0.0.1:port` */
  readonly endpoint: string;
  /** How often each operation was asked for. */
  readonly counts: Readonly<Partial<Record<S3Operation, number>>>;
}

/**
 * Stands between a client and a server of S3, and does to requests what `rule` says, after `before`. Signatures stay
 * valid.
 */
export async function startS3Proxy(
  port: number,
  rule: S3Rule,
  before: (request: S3Request) => Promise<void> = async () => undefined,
): Promise<S3Proxy> {
  const counts: Partial<Record<S3Operation, number>> = {};
  const server = createServer((incoming, outgoing) => {
    const { operation, key } = read(incoming);
    const count = (counts[operation] ?? 0) + 1;
    counts[operation] = count;
    const asked = { operation, key, count, headers: incoming.headers };
    const fault = rule(asked);
    before(asked)
      .then(() => pass(port, incoming, outgoing, fault))
      .catch(() => outgoing.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("A TCP server has a port");
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    counts,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function pass(
  port: number,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  fault: S3Fault | undefined,
): Promise<void> {
  const body = await collect(incoming);
  if (fault?.kind === "silence") return;
  if (fault?.kind === "answer") return fail(outgoing, fault);
  if (fault?.kind === "twice") await ask(port, incoming, body);
  const answer = await ask(port, incoming, body);
  if (fault?.kind === "lost answer") {
    outgoing.destroy();
    return;
  }
  if (fault?.kind === "wrong answer") return fail(outgoing, fault);
  const headers = fault?.kind === "headers" ? fault.headers : {};
  const told = Object.entries({ ...answer.headers, ...headers }).filter(([, value]) => value !== undefined);
  outgoing.writeHead(answer.status, Object.fromEntries(told));
  if (fault?.kind !== "cut") {
    outgoing.end(answer.body);
    return;
  }
  outgoing.write(answer.body.subarray(0, fault.bytes), () => outgoing.destroy());
}

function fail(outgoing: ServerResponse, { status, error }: { readonly status: number; readonly error: string }): void {
  const text = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${error}</Code><Message>As told</Message></Error>`;
  outgoing.writeHead(status, { "content-type": "application/xml", "content-length": Buffer.byteLength(text) });
  outgoing.end(text);
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

async function ask(port: number, { method, url, headers }: IncomingMessage, body: Buffer): Promise<Answer> {
  const sent = request({ host: "127.0.0.1", port, method, path: url, headers, agent: false });
  sent.end(body);
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: await collect(answer) };
}

async function collect(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function read({ method = "", url = "" }: IncomingMessage): { operation: S3Operation; key: string } {
  const { pathname, searchParams } = new URL(url, "http://localhost");
  const [, , ...key] = decodeURIComponent(pathname).split("/");
  return { operation: operationOf(method, key.length > 0 && key[0] !== "", searchParams), key: key.join("/") };
}

function operationOf(method: string, hasKey: boolean, query: URLSearchParams): S3Operation {
  if (!hasKey) return "Other";
  const hasUpload = query.has("uploadId");
  if (method === "POST") return query.has("uploads") ? "CreateMultipartUpload" : "CompleteMultipartUpload";
  if (method === "PUT") return hasUpload ? "UploadPart" : "PutObject";
  if (method === "DELETE") return hasUpload ? "AbortMultipartUpload" : "DeleteObject";
  if (method === "HEAD") return "HeadObject";
  return hasUpload ? "ListParts" : "GetObject";
}
