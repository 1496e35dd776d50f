import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { httpLimits } from "../../../../shared/http/limits.js";
import type { Route } from "../../../../shared/http/route.js";
import { type HttpServer, serveHttp } from "../../../../shared/http/server.js";
import { textLog } from "../../../../shared/log/text-log.js";

const token = "correct-horse-battery";
const told: string[] = [];
const streams = { ended: 0, sent: 0 };

async function* numbers(signal: AbortSignal): AsyncGenerator<string> {
  try {
    for (let index = 0; !signal.aborted; index += 1) {
      streams.sent = index;
      yield `data: ${index} ${"x".repeat(10_000)}\n\n`;
    }
  } finally {
    streams.ended += 1;
  }
}

async function* brokenOff(): AsyncGenerator<string> {
  yield "data: first\n\n";
  throw new Error("the other secret reason");
}

/** As a page that waits for news. */
async function* never(signal: AbortSignal): AsyncGenerator<string> {
  yield ": hello\n\n";
  if (!signal.aborted) await once(signal, "abort");
}

const text = "text/plain; charset=utf-8";
const routes: readonly Route[] = [
  { method: "GET", path: "/", answer: ({ isAuthenticated }) => ({ type: text, body: String(isAuthenticated) }) },
  { method: "GET", path: "/broken", answer: () => Promise.reject(new Error("the secret reason")) },
  { method: "GET", path: "/broken-off", answer: () => ({ type: "text/event-stream", body: brokenOff() }) },
  { method: "GET", path: "/numbers", answer: ({ signal }) => ({ type: "text/event-stream", body: numbers(signal) }) },
  { method: "GET", path: "/news", answer: ({ signal }) => ({ type: "text/event-stream", body: never(signal) }) },
  {
    method: "POST",
    path: "/echo",
    needsToken: true,
    answer: async ({ body }) => ({ type: text, body: await body(), headers: { "Cache-Control": "max-age=1" } }),
  },
];

let server: HttpServer;
beforeAll(async () => {
  const log = textLog((line) => told.push(line));
  server = await serveHttp(routes, { host: "127.0.0.1", port: 0, token, log });
});
afterAll(() => server.close());

const bearer = { authorization: `Bearer ${token}` };
const ask = (path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`${server.url}${path}`, { redirect: "manual", ...init });

test("an answer says to browsers what they may not do", async () => {
  const { headers, status } = await ask("/");
  expect(status).toBe(200);
  expect(headers.get("content-security-policy")).toContain("default-src 'none'");
  expect(headers.get("x-content-type-options")).toBe("nosniff");
  expect(headers.get("referrer-policy")).toBe("no-referrer");
  expect(headers.get("cache-control")).toBe("no-store");
  expect(headers.get("x-powered-by")).toBeNull();
});

test.each([
  ["GET", "/nothing", 404],
  ["DELETE", "/", 405],
  ["GET", "/echo", 405],
  ["GET", "/broken", 500],
])("%s %s is %d", async (method, path, status) => {
  expect((await ask(path, { method })).status).toBe(status);
});

test("an error is told to the log and not to whoever asked", async () => {
  expect(await (await ask("/broken")).text()).not.toContain("secret reason");
  expect(told.join("\n")).toContain('Cannot answer GET "/broken": Error: the secret reason');
});

test("an answer that breaks off does not look like a whole one, and the log says why", async () => {
  const response = await ask("/broken-off");
  expect(response.status).toBe(200);
  await expect(response.text()).rejects.toThrow();
  expect(told.join("\n")).toContain('Cannot answer GET "/broken-off": Error: the other secret reason');
});

test("whoever leaves in the middle of a body is no error of ours", async () => {
  const before = told.length;
  const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
  const { host } = new URL(server.url);
  socket.write(`POST /login HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 100\r\n\r\ntoken`);
  await new Promise((resolve) => setTimeout(resolve, 50));
  socket.resetAndDestroy();
  expect((await ask("/")).status).toBe(200);
  expect(told.slice(before)).toEqual([]);
});

test("HEAD has the headers alone", async () => {
  const response = await ask("/", { method: "HEAD" });
  expect([response.headers.get("content-length"), await response.text()]).toEqual(["5", ""]);
});

test("what needs the token is refused without it and with a wrong one", async () => {
  expect((await ask("/echo", { method: "POST" })).status).toBe(401);
  expect((await ask("/echo", { method: "POST", headers: { authorization: "Bearer wrong" } })).status).toBe(401);
  const right = await ask("/echo", { method: "POST", headers: bearer, body: "hello" });
  expect([right.status, await right.text()]).toEqual([200, "hello"]);
  expect(right.headers.get("cache-control")).toBe("max-age=1");
});

test("logging in gives a cookie that stands for the token, and logging out takes it back", async () => {
  const body = new URLSearchParams({ token });
  const { status, headers } = await ask("/login", { method: "POST", body });
  expect([status, headers.get("location")]).toEqual([303, "/"]);
  const cookie = headers.get("set-cookie")?.split(";")[0] ?? "";
  expect(cookie).not.toContain(token);
  expect(await (await ask("/", { headers: { cookie } })).text()).toBe("true");
  expect((await ask("/echo", { method: "POST", headers: { cookie }, body: "x" })).status).toBe(200);
  const out = await ask("/logout", { method: "POST", headers: { cookie } });
  expect(out.headers.get("set-cookie")).toMatch(/Max-Age=0/);
  const wrong = await ask("/login", { method: "POST", body: new URLSearchParams({ token: "wrong" }) });
  expect([wrong.status, wrong.headers.get("set-cookie")]).toEqual([401, null]);
  expect(told.at(-1)).toBe('warning: A wrong token was shown from "127.0.0.1"');
});

test("a page of another site can neither ask under its own name nor have things done", async () => {
  const rebound = await raw({ path: "/", headers: { host: "evil.example" } });
  expect(rebound.statusCode).toBe(421);
  const forged = await ask("/echo", { method: "POST", headers: { ...bearer, origin: "https://evil.example" } });
  expect(forged.status).toBe(403);
});

test.each(["with a length", "in chunks"])(
  "a body of more than 64 KiB, %s, is refused before it is held",
  async (how) => {
    const bytes = Buffer.alloc(httpLimits.bodyBytes + 1);
    const length = how === "in chunks" ? {} : { "content-length": bytes.length };
    const refused = await raw({ method: "POST", path: "/echo", headers: { ...bearer, ...length } }, bytes);
    expect(refused.statusCode).toBe(413);
  },
);

test("a body of just 64 KiB is taken", async () => {
  const body = "x".repeat(httpLimits.bodyBytes);
  expect(await (await ask("/echo", { method: "POST", headers: bearer, body })).text()).toBe(body);
});

test("a stream goes no further than the other side reads, and ends when it leaves", async () => {
  const before = streams.ended;
  const response = await raw({ path: "/numbers" });
  response.pause();
  let last = -1;
  while (streams.sent !== last) {
    last = streams.sent;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  // Some megabytes of socket buffers, and no more.
  expect(last).toBeLessThan(2_000);
  response.destroy();
  await expect.poll(() => streams.ended).toBe(before + 1);
});

test("nothing is kept of what a stream has sent", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const heap = (): number => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const response = await raw({ path: "/numbers" });
  const before = heap();
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > 30e6) break;
  }
  expect(heap() - before).toBeLessThan(10e6);
});

test("streams without an end are limited, and make room when they are left", async () => {
  const open = await Promise.all(Array.from({ length: httpLimits.streams }, () => raw({ path: "/news" })));
  expect(open.every(({ statusCode }) => statusCode === 200)).toBe(true);
  expect((await ask("/news")).status).toBe(503);
  expect((await ask("/")).status).toBe(200);
  for (const response of open) response.destroy();
  await expect.poll(async () => (await raw({ path: "/news" })).statusCode).toBe(200);
});

test("what is no HTTP is hung up on, and the server goes on", async () => {
  const wrong = [
    "\u0016\u0003\u0001 not http\r\n\r\n",
    `GET / HTTP/1.1\r\nHost: x\r\nX: ${"y".repeat(100_000)}\r\n\r\n`,
    // Two lengths, of which a proxy may believe the other one.
    "POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\ntoken",
  ];
  for (const bytes of wrong) {
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(bytes);
    await new Promise((resolve) => socket.once("close", resolve));
  }
  expect((await ask("/")).status).toBe(200);
});

test.each(["GET //evil.example/ HTTP/1.1", "GET http://evil.example/ HTTP/1.1", "OPTIONS * HTTP/1.1"])(
  "%s reaches nobody else's name",
  async (line) => {
    const { port, host } = new URL(server.url);
    const socket = connect(Number(port), "127.0.0.1");
    socket.end(`${line}\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    const answer = Buffer.concat(await socket.toArray()).toString();
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(answer).not.toMatch(/^location:/im);
  },
);

test("ten wrong tokens close the door to their address", async () => {
  await using own = await serveHttp(routes, { host: "127.0.0.1", port: 0, token, log: textLog(() => undefined) });
  const tried = async (shown: string): Promise<number> =>
    (
      await fetch(`${own.url}/login`, {
        method: "POST",
        redirect: "manual",
        body: new URLSearchParams({ token: shown }),
      })
    ).status;
  for (let tries = 0; tries < 10; tries += 1) expect(await tried("wrong")).toBe(401);
  expect(await tried(token)).toBe(429);
});

test("an address that others can reach is refused without TLS, and it is said how", async () => {
  const serving = serveHttp(routes, { host: "0.0.0.0", port: 0, log: textLog(() => undefined) });
  await expect(serving).rejects.toThrow(/only loopback addresses.*--http-tls-cert/);
});

test("an address that another process has is refused, and it is said what to do", async () => {
  const { port } = new URL(server.url);
  const serving = serveHttp(routes, { host: "127.0.0.1", port: Number(port), log: textLog(() => undefined) });
  await expect(serving).rejects.toThrow(/^Cannot serve HTTP on .*: it is in use: give another port/);
});

test("closing ends the streams that are open", async () => {
  const own = await serveHttp(routes, { host: "127.0.0.1", port: 0, log: textLog(() => undefined) });
  const response = await fetch(`${own.url}/news`);
  const reading = response.text();
  await own.close();
  await expect(reading).rejects.toThrow();
});

/** With headers that fetch() does not let through, and without waiting for a body. */
function raw(
  options: { readonly method?: string; readonly path: string; readonly headers?: Record<string, string | number> },
  body?: Uint8Array,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { port } = new URL(server.url);
    const request = httpRequest({ host: "127.0.0.1", port, agent: false, ...options }, (response) => {
      response.on("error", () => undefined);
      resolve(response);
    });
    // It is answered before all of a body that is too large has been sent.
    request.on("error", reject);
    request.end(body);
  });
}
