import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import { createServer as createHttpsServer, request } from "node:https";
import { connect, type Socket } from "node:net";
import { setImmediate } from "node:timers/promises";
import { HeadBucketCommand } from "@aws-sdk/client-s3";
import { afterEach, expect, test, vi } from "vitest";
import { createHttpClient } from "../../../../../shared/remote/http/client.js";
import { createS3Client } from "../../../../../shared/remote/s3/client.js";
import { TunnelAgent, tunnelAgent } from "../../../../../shared/remote/s3/tunnel.js";
import { withTempDir } from "../../../../support/checkpoints.js";
import { TestAuthority } from "../../../../support/cluster/certificates.js";
import { portOf } from "../../../../support/remote/ports.js";

afterEach(() => void vi.unstubAllEnvs());

/** A proxy that connects to `leadsTo` whatever it is asked for, or refuses. */
async function startProxy(leadsTo: number | undefined) {
  const asked: { readonly target: string | undefined; readonly login: string | undefined }[] = [];
  const sockets = new Set<Socket>();
  const server = createServer().on("connect", ({ url, headers }: IncomingMessage, socket: Socket) => {
    asked.push({ target: url, login: headers["proxy-authorization"] });
    sockets.add(socket.on("error", () => undefined));
    if (leadsTo === undefined) return void socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
    socket.write("HTTP/1.1 200 Connected\r\n\r\n");
    const other = connect(leadsTo, "127.0.0.1").on("error", () => undefined);
    sockets.add(other);
    other.pipe(socket).pipe(other);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    asked,
    port: portOf(server),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

test("what is asked goes through the proxy's tunnel, encrypted for the server that is asked for", async () => {
  await using folder = await withTempDir();
  const files = await (await TestAuthority.make(folder.path)).issue("s3", { hosts: ["bucket.example"] });
  const [ca, cert, key] = [files.ca, files.certificate, files.key].map((file) => readFileSync(file));
  const server = createHttpsServer({ cert, key }, (asked, response) => void response.end(`you want ${asked.url}`));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  await using proxy = await startProxy(portOf(server));
  vi.stubEnv("HTTPS_PROXY", `http://127.0.0.1:${proxy.port}`);
  const agent = new TunnelAgent(new URL(`http://me:p%40ss@127.0.0.1:${proxy.port}`));
  for (const path of ["/key", "/other"]) {
    const asking = request({ host: "bucket.example", path, agent, ca }).end();
    const [response] = (await once(asking, "response")) as [IncomingMessage];
    const chunks: Buffer[] = await response.toArray();
    expect(String(Buffer.concat(chunks))).toBe(`you want ${path}`);
    await setImmediate();
  }
  // One connection for both.
  expect(proxy.asked).toEqual([
    { target: "bucket.example:443", login: `Basic ${Buffer.from("me:p@ss").toString("base64")}` },
  ]);
  agent.destroy();
  server.closeAllConnections();
  server.close();
});

test("a client of S3 takes the proxy that variables name, and says that it refuses", async () => {
  await using proxy = await startProxy(undefined);
  const env = {
    ...{ AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b", AWS_REGION: "us-east-1" },
    HTTPS_PROXY: `http://127.0.0.1:${proxy.port}`,
  };
  vi.stubEnv("HTTPS_PROXY", env.HTTPS_PROXY);
  const client = createS3Client({ env });
  client.config.maxAttempts = async () => 1;
  const looking = client.send(new HeadBucketCommand({ Bucket: "bucket" }));
  await expect(looking).rejects.toThrow("The proxy refuses to connect, with status 403");
  expect(proxy.asked[0]?.target).toBe("bucket.s3.us-east-1.amazonaws.com:443");
  client.destroy();
});

test.each([
  ["", "bucket.invalid", true],
  ["other, .invalid", "bucket.invalid", false],
  ["INVALID", "bucket.invalid", false],
  [".bucket.invalid", "bucket.invalid", false],
  ["bucket.invalid:443", "bucket.invalid", false],
  ["bucket.invalid:444", "bucket.invalid", true],
  ["other *", "bucket.invalid", false],
  ["nvalid", "bucket.invalid", true],
  ["", "localhost", false],
])(
  "with NO_PROXY %j, %s is asked through the proxy: %s, for S3 and web servers alike",
  async (exempt, host, isTunnelled) => {
    await using proxy = await startProxy(undefined);
    const env = { https_proxy: `http://127.0.0.1:${proxy.port}`, NO_PROXY: exempt };
    // One of the libraries knows no other environment.
    for (const [name, value] of Object.entries({ ...env, no_proxy: "", HTTPS_PROXY: "" })) vi.stubEnv(name, value);
    const agent = tunnelAgent(env);
    const lookup = (_: string, __: object, done: (error: Error) => void): void => done(new Error("asked directly"));
    const asking = request({ host, agent, lookup } as object).end();
    const error = await once(asking, "response").catch((reason: Error) => reason);
    expect(String(error)).toMatch(isTunnelled ? /refuses to connect, with status 403/ : /asked directly/);
    expect(proxy.asked).toHaveLength(isTunnelled ? 1 : 0);

    const web = createHttpClient({ env });
    const ask = { method: "GET", url: `https://${host}:443/`, headers: {}, signal: undefined } as const;
    await expect(web.ask(ask)).rejects.toThrow();
    expect(proxy.asked).toHaveLength(isTunnelled ? 2 : 0);
    await web.close();
  },
);

test("a proxy that is no address is refused, and its password is not shown", () => {
  expect(() => tunnelAgent({ HTTPS_PROXY: "socks://me:secret@proxy" })).toThrow(
    /^Cannot use HTTPS_PROXY: it is no address such as "http:\/\/proxy:3128"$/,
  );
  expect(tunnelAgent({ HTTPS_PROXY: "" })).toBeUndefined();
});
