import { expect, test } from "vitest";
import { completeSettings, parseAgentArguments } from "../../../node-agent/settings.js";

test("parseAgentArguments() reads every option", () => {
  const words =
    "--root /a --root /b --port 4000 --host ::1 --slots 3 --memory 2GiB --io-limit 20MB --name box --grace 2.5 " +
    "--nats nats://n:4222 --nats-wait 7 --advertise box:1 --tls-ca ca.pem --tls-cert cert.pem --tls-key key.pem " +
    "--http 8080 --http-tls-cert h.pem --http-tls-key k.pem --log-format json --log-level debug --traces";
  expect(parseAgentArguments(words.split(" "))).toEqual({
    agent: {
      roots: ["/a", "/b"],
      port: 4000,
      host: "::1",
      slots: 3,
      memoryBytes: 2 * 1024 ** 3,
      ioBytesPerSecond: 20_000_000,
      name: "box",
    },
    tls: { ca: "ca.pem", certificate: "cert.pem", key: "key.pem" },
    graceMs: 2_500,
    cluster: { url: "nats://n:4222", waitMs: 7_000, advertise: "box:1" },
    http: { http: "8080", httpTlsCert: "h.pem", httpTlsKey: "k.pem" },
    telling: { format: "json", level: "debug", traces: true },
  });
});

test("parseAgentArguments() leaves open what is not said", () => {
  expect(parseAgentArguments(["--root", "/a"])).toEqual({
    agent: { roots: ["/a"] },
    tls: { ca: undefined, certificate: undefined, key: undefined },
    graceMs: 30_000,
    http: {},
    telling: { format: "text", level: "info", traces: false },
    cluster: undefined,
  });
});

test("parseAgentArguments() takes the cluster and its files from the environment, unless words say otherwise", () => {
  const environment = {
    AMALGAM_NATS: "nats://e",
    AMALGAM_TLS_CA: "e.ca",
    AMALGAM_TLS_CERT: "e.cert",
    AMALGAM_TLS_KEY: "e.key",
  };
  expect(parseAgentArguments([], environment)).toMatchObject({
    tls: { ca: "e.ca", certificate: "e.cert", key: "e.key" },
    cluster: { url: "nats://e", waitMs: 30_000 },
  });
  expect(parseAgentArguments(["--nats", "nats://w", "--tls-ca", "w.ca"], environment)).toMatchObject({
    tls: { ca: "w.ca", certificate: "e.cert" },
    cluster: { url: "nats://w" },
  });
  const emptied = parseAgentArguments([], { AMALGAM_NATS: "", AMALGAM_TLS_CA: "", AMALGAM_TLS_KEY: "" });
  expect(emptied?.cluster).toBeUndefined();
  expect(emptied?.tls).toEqual({ ca: undefined, certificate: undefined, key: undefined });
});

test.each([
  [["--provider", "cuda,cpu", "--eval-threads", "3", "--eval-memory", "4GiB"], ["cuda", "cpu"], 3, 4 * 1024 ** 3],
  [["--provider", "webgpu", "--provider", "cpu, webgpu"], ["webgpu", "cpu"], undefined, undefined],
  [["--provider", "auto"], ["cuda", "webgpu", "cpu"], undefined, undefined],
  [["--no-eval", "--provider", "cpu"], [], undefined, undefined],
  [[], undefined, undefined, undefined],
] as const)("parseAgentArguments() reads how models are run from %j", (words, providers, threads, bytes) => {
  const { agent } = parseAgentArguments(words) ?? {};
  expect(agent?.providers).toEqual(providers);
  expect(agent?.evalThreads).toBe(threads);
  expect(agent?.evalMemoryBytes).toBe(bytes);
});

test.each([
  [["--memory", "much"], 'Cannot use "much" for "--memory": it is not a size'],
  [["--log-format", "jsno"], 'Cannot use "jsno" for "--log-format": it is none of text, json; did you mean "json"?'],
  [["--log-level", "all"], 'Cannot use "all" for "--log-level": it is none of debug, info, warning, error'],
  [["--io-limit", "slow"], 'Cannot use "slow" for "--io-limit": it is not a size'],
  [["--slots", "-1"], "slots"],
  [["--slots", "1.5"], 'Cannot use "1.5" for "--slots": it is not a whole number'],
  [["--grace", "soon"], 'Cannot use "soon" for "--grace": it is not a number of seconds'],
  [["--nats-wait", "1e9"], 'Cannot use "1e9" for "--nats-wait"'],
  [
    ["--provider", "cdua"],
    'Cannot use "cdua" for "--provider": it is none of cpu, cuda, webgpu and auto; did you mean',
  ],
  [["--provider", ""], "it is none of"],
  [["--eval-memory", "all"], 'Cannot use "all" for "--eval-memory": it is not a size'],
  [["--rot", "/a"], 'did you mean "--root"?'],
  [["--advertise", "box"], 'Cannot use "--advertise" without "--nats"'],
  [["--nats", "nats://n", "--host", "0.0.0.0"], '"--advertise HOST"'],
  [["--nats", "nats://n", "--host", "::"], 'Cannot join a cluster as "::"'],
])("parseAgentArguments() refuses %j", (words, message) => {
  expect(() => parseAgentArguments(words)).toThrow(
    expect.objectContaining({ code: "usage", message: expect.stringContaining(message) }),
  );
});

test("parseAgentArguments() knows when help is asked for", () => {
  expect(parseAgentArguments(["--help", "--root", "/a"])).toBeUndefined();
});

test("completeSettings() fills in defaults and refuses an agent without a root", () => {
  expect(completeSettings({ roots: ["/a"] })).toMatchObject({ host: "127.0.0.1", port: 0, memoryBytes: 2 * 1024 ** 3 });
  expect(completeSettings({ roots: ["/a"] }).name).toContain(String(process.pid));
  expect(() => completeSettings({ roots: [] })).toThrow("without a root");
  expect(() => completeSettings({ roots: ["/a"], slots: 0 })).toThrow(
    "a number of slots of 0 is not between 1 and 1024",
  );
  expect(completeSettings({ roots: ["/a"] }).providers).toEqual(["cpu"]);
  expect(() => completeSettings({ roots: ["/a"], evalThreads: 0 })).toThrow("a number of threads of 0");
  expect(() => completeSettings({ roots: ["/a"], evalMemoryBytes: 5 })).toThrow("a memory size for models of 5");
  expect(() => completeSettings({ roots: ["/a"], memoryBytes: 5 })).toThrow("a memory size of 5");
  expect(() => completeSettings({ roots: ["/a"], ioBytesPerSecond: 5 })).toThrow("a limit in bytes per second of 5");
});
