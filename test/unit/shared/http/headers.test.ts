import { expect, test } from "vitest";
import { isLoopbackHostHeader, isOwnOrigin } from "../../../../shared/http/headers.js";

test.each([
  ["127.0.0.1:8080", 8080],
  ["localhost:8080", 8080],
  ["LOCALHOST:8080", 8080],
  ["[::1]:8080", 8080],
  ["127.3.2.1:8080", 8080],
  ["127.0.0.1", 80],
])("a server on loopback is meant by %s", (host, port) => {
  expect(isLoopbackHostHeader(host, port)).toBe(true);
});

test.each([
  [undefined, 8080],
  ["", 8080],
  ["evil.example:8080", 8080],
  ["127.0.0.1.evil.example:8080", 8080],
  ["localhost.evil.example:8080", 8080],
  ["127.0.0.1:8081", 8080],
  ["127.0.0.1", 8080],
  ["127.0.0.1:8080, evil.example", 8080],
  ["[::2]:8080", 8080],
])("it is not meant by %s", (host, port) => {
  expect(isLoopbackHostHeader(host, port)).toBe(false);
});

test.each([
  [{}, false, true],
  [{ origin: "http://a:1" }, false, true],
  [{ origin: "https://a:1" }, true, true],
  [{ origin: "http://a:1" }, true, false],
  [{ origin: "http://a:2" }, false, false],
  [{ origin: "https://evil.example" }, false, false],
  [{ origin: "null" }, false, false],
  // What browsers say themselves: behind a proxy that serves another name, and of a form without a referrer.
  [{ origin: "https://amalgam.example", "sec-fetch-site": "same-origin" }, false, true],
  [{ origin: "null", "sec-fetch-site": "same-origin" }, false, true],
  [{ origin: "null", "sec-fetch-site": "cross-site" }, false, false],
  [{ origin: "http://a:1", "sec-fetch-site": "same-site" }, false, false],
])("of a request with %j (TLS: %s) the origin is our own: %s", (headers, isTls, expected) => {
  expect(isOwnOrigin({ host: "a:1", ...headers }, isTls)).toBe(expected);
});
