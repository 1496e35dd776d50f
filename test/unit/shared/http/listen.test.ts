import { expect, test } from "vitest";
import { parseHttpAddress, readHttpWords } from "../../../../shared/http/listen.js";
import { loopback } from "../../../../shared/rpc/security.js";

test.each([
  ["127.0.0.1:8080", "127.0.0.1", 8080],
  ["8080", "127.0.0.1", 8080],
  [":8080", "127.0.0.1", 8080],
  ["0.0.0.0:0", "0.0.0.0", 0],
  ["[::1]:9", "::1", 9],
  ["status.example:443", "status.example", 443],
])("%s is host %s and port %d", (text, host, port) => {
  expect(parseHttpAddress(text)).toEqual({ host, port });
});

test.each(["", "host", "host:", "host:65536", "::1:80", "http://a:1", "a:1:2"])("%j is no address", (text) => {
  expect(() => parseHttpAddress(text)).toThrow(/it is not of the form "host:port"/);
});

test("half a certificate, or a token for nothing, is refused", () => {
  expect(() => readHttpWords({ http: "1", httpTlsCert: "a" }, loopback)).toThrow(/give both of/);
  expect(() => readHttpWords({ httpTokenFile: "a" }, loopback)).toThrow(/without "--http HOST:PORT"/);
  expect(readHttpWords({}, loopback)).toBeUndefined();
});
