import { expect, test } from "vitest";
import { settle } from "../../../../../shared/bus/nats/options.js";

const tls = {
  kind: "mutual-tls",
  ca: Buffer.from("ca"),
  certificate: Buffer.from("certificate"),
  key: Buffer.from("key"),
} as const;

test.each([
  ["nats://127.0.0.1:4222", "127.0.0.1:4222", {}],
  ["nats://localhost", "localhost:4222", {}],
  ["nats://[::1]:5000", "[::1]:5000", {}],
  ["nats://u:p%40ss@127.0.0.1", "127.0.0.1:4222", { user: "u", pass: "p@ss" }],
  ["nats://u:p,w%2C@127.0.0.1", "127.0.0.1:4222", { user: "u", pass: "p,w," }],
  ["nats://t0ken@127.0.0.1", "127.0.0.1:4222", { token: "t0ken" }],
  ["tls://u:p@nats.example.org", "nats.example.org:4222", { user: "u", pass: "p", tls: {} }],
])("settle() takes %s", (url, server, client) => {
  expect(settle({ url, name: "test" }).client).toMatchObject({ servers: [server], ...client });
});

test("settle() takes several servers, and the first one's credentials", () => {
  const { client, shownUrl } = settle({ url: "nats://u:p@127.0.0.1:1, nats://127.0.0.1:2", name: "test" });
  expect(client).toMatchObject({ servers: ["127.0.0.1:1", "127.0.0.1:2"], user: "u", pass: "p" });
  expect(shownUrl).toBe("nats://127.0.0.1:1,nats://127.0.0.1:2");
});

test("settle() takes mutual TLS for encryption and for credentials", () => {
  const { client, isEncrypted, hasCredentials } = settle({ url: "nats://10.0.0.1", security: tls, name: "test" });
  expect([isEncrypted, hasCredentials]).toEqual([true, true]);
  expect(client.tls).toEqual({ ca: "ca", cert: "certificate", key: "key", checkServerIdentity: expect.any(Function) });
});

test.each([
  ["nats://10.0.0.1:4222", "without TLS and credentials"],
  ["nats://u:s3cret@10.0.0.1:4222", "without TLS"],
  ["nats://s3cret@nats.example.org", "without TLS"],
  ["tls://10.0.0.1:4222", "without credentials"],
  ["nats://127.0.0.1,nats://10.0.0.1", "without TLS and credentials"],
  ["nats://127.0.0.1.example.org", "without TLS and credentials"],
  ["nats://0.0.0.0:4222", "without TLS and credentials"],
  ["http://u:s3cret@127.0.0.1", "not of the form"],
  ["127.0.0.1:4222", "not of the form"],
  ["u:s3cret@127.0.0.1:4222", "not of the form"],
  ["nats://u:s3,cret@127.0.0.1:x", "not of the form"],
  ["nats://u:pa@ss/s3cret@127.0.0.1", "percent-encoded"],
  ["nats://s3cret#token@127.0.0.1", "percent-encoded"],
  ["nats://u:7/s3cret@127.0.0.1", "percent-encoded"],
  ["nats://127.0.0.1,s3cret@10.0.0.1", "without TLS"],
  ["nats://127.0.0.1,nats://u:s3cret/x@10.0.0.1", "not of the form"],
  ["", 'Cannot use "" as NATS: it is not of the form'],
])("settle() refuses %s, and does not show its password", (url, reason) => {
  let message = "";
  try {
    settle({ url, name: "test" });
  } catch (error) {
    expect(error).toMatchObject({ code: "usage" });
    message = String(error);
  }
  expect(message).toContain(reason);
  expect(message).not.toMatch(/s3|cret/);
});

test("settle() refuses a prefix that is no word", () => {
  expect(() => settle({ url: "nats://127.0.0.1", name: "test", prefix: "a.b" })).toThrow(
    /Cannot use "a.b" as a prefix/,
  );
});
