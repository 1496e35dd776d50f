import type { IncomingMessage, ServerResponse } from "node:http";

/** Answers with a file's bytes, or a range of them, as web servers do. */
export function serveBytes(request: IncomingMessage, response: ServerResponse, bytes: Buffer, etag: string): void {
  response.setHeader("ETag", etag);
  response.setHeader("Accept-Ranges", "bytes");
  const whole = { begin: 0, end: bytes.length, status: 200 };
  const range = request.headers.range === undefined ? whole : rangeOf(request.headers.range, bytes.length);
  const match = request.headers["if-match"];
  if (match !== undefined && match !== etag) end(response, 412);
  else if (range === undefined) end(response, 416, { "Content-Range": `bytes */${bytes.length}` });
  else {
    const { begin, end: stop, status } = range;
    if (status === 206) response.setHeader("Content-Range", `bytes ${begin}-${stop - 1}/${bytes.length}`);
    response.setHeader("Content-Length", stop - begin);
    response.writeHead(status).end(request.method === "HEAD" ? undefined : bytes.subarray(begin, stop));
  }
}

function rangeOf(text: string, bytes: number): { begin: number; end: number; status: number } | undefined {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(text) ?? [];
  const [begin, end] = [Number(first ?? bytes), last ? Math.min(Number(last) + 1, bytes) : bytes];
  return begin < end ? { begin, end, status: 206 } : undefined;
}

export function end(response: ServerResponse, status: number, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { "Content-Length": "0", ...headers }).end();
}
