import { expect, test } from "vitest";
import { AgentService } from "../../../../shared/gen/amalgam/v1/agent_pb.js";
import { assertLoopback, formatAddress, parseAddress } from "../../../../shared/rpc/channel.js";
import { createClient } from "../../../../shared/rpc/client.js";

test("assertLoopback() lets this machine through and nothing else", () => {
  for (const host of ["127.0.0.1", "127.8.9.1", "localhost", "::1"]) assertLoopback(host, "Cannot listen on");
  for (const host of [
    "0.0.0.0",
    "::",
    "10.0.0.1",
    "localhost.example.org",
    "127.0.0.1.example.org",
    "127.0.0.256",
    "",
  ]) {
    expect(() => assertLoopback(host, "Cannot listen on")).toThrow("neither encrypted nor authenticated");
  }
});

test("parseAddress() undoes formatAddress()", () => {
  for (const [host, port] of [
    ["127.0.0.1", 1],
    ["::1", 65_535],
  ] as const) {
    expect(parseAddress(formatAddress(host, port))).toEqual({ host, port });
  }
});

test("parseAddress() refuses what is no address", () => {
  for (const text of ["127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "::1:80", ":80", "http://127.0.0.1:80", "a:b"]) {
    expect(() => parseAddress(text)).toThrow("as an address");
  }
});

test("createClient() does not connect to another machine", () => {
  expect(() => createClient(AgentService, "192.0.2.1:5000")).toThrow('Cannot connect to "192.0.2.1"');
});
