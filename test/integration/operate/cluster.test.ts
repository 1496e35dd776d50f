import { writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { AgentService } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { Health, HealthCheckResponse_ServingStatus as Serving } from "../../../shared/gen/grpc/health/v1/health_pb.js";
import { createClient } from "../../../shared/rpc/client.js";
import { type RunningCommand, startAmalgam, withWorkplace } from "../../support/command.js";
import { writeFamily, writeRecipe } from "../../support/merges.js";
import { type NatsServer, startNatsServer, whyNoNats } from "../../support/nats-server.js";
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from "../../support/operate/otlp-receiver.js";
import { parseMetrics } from "../../support/operate/parse-metrics.js";

// A coordinator and two agents that are watched from outside while they carry out a job: everything is real.

const why = whyNoNats();
const token = "correct-horse-battery";
const caller = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };

const work = withWorkplace();
let nats: NatsServer;
let collector: OtlpReceiver;
let coordinator: RunningCommand;
/** One tells of itself in text, the other in JSON. */
let agents: readonly [RunningCommand, RunningCommand];
const urls = { coordinator: "", agent: "", grpc: "" };
let job = "";

beforeAll(async () => {
  if (why !== undefined) return;
  const { path, at } = await work;
  await writeFamily(at("models"));
  await writeFile(at("token"), token);
  nats = await startNatsServer();
  collector = await startOtlpReceiver();
  vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url);
  vi.stubEnv("OTEL_BSP_SCHEDULE_DELAY", "200");
  const words = ["--nats", nats.url, "--traces", "--http", "127.0.0.1:0"];
  const json = ["--log-format", "json", "--log-level", "debug"];
  coordinator = startAmalgam([
    "coordinator",
    ...words,
    ...json,
    "--name",
    "c1",
    "--json",
    "--http-token-file",
    at("token"),
  ]);
  const agent = (name: string, ...more: readonly string[]): RunningCommand =>
    startAmalgam(["agent", ...words, "--root", path, "--name", name, "--slots", "1", "--no-eval", ...more]);
  agents = [agent("a1"), agent("a2", ...json)];
  urls.coordinator = String((await coordinator.event("http"))["url"]);
  urls.agent = (await agents[0].line((line) => line.includes(" shows itself at "))).split(" ").at(-1) ?? "";
  urls.grpc = (await agents[0].line((line) => line.includes(" listens on "))).split(" ").at(-1) ?? "";
  await agents[0].line((line) => line.includes("joined the cluster"));
  vi.stubEnv("TRACEPARENT", `00-${caller.traceId}-${caller.spanId}-01`);
  await using submitted = startAmalgam([
    ...["submit", await writeRecipe(at("models"), "ties_model"), at("out"), "--nats", nats.url],
    ...["--watch", "--json", "--assembly", "stream", "--unit-size", "64KiB"],
  ]);
  vi.unstubAllEnvs();
  job = String((await submitted.event("submitted"))["job"]);
  const { code, stderr } = await submitted.ended;
  expect([code, stderr]).toEqual([0, ""]);
}, 120_000);

afterAll(async () => {
  vi.unstubAllEnvs();
  if (why === undefined) {
    await Promise.all([coordinator, ...agents].map((node) => node[Symbol.asyncDispose]()));
    await collector[Symbol.asyncDispose]();
    await nats[Symbol.asyncDispose]();
  }
  await (await work)[Symbol.asyncDispose]();
});

const metricsOf = async (url: string) => parseMetrics(await (await fetch(`${url}/metrics`)).text());

/** The sum of a metric's samples with these labels. */
async function sum(url: string, name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
  const samples = (await metricsOf(url)).get(name)?.samples ?? [];
  return samples
    .filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
    .reduce((total, { value }) => total + value, 0);
}

test.skipIf(why !== undefined)("metrics tell what the job did, and no label is of a job or a tensor", async () => {
  const url = urls.coordinator;
  expect(await sum(url, "amalgam_jobs", { state: "done" })).toBe(1);
  expect(await sum(url, "amalgam_leads_total", { outcome: "done" })).toBe(1);
  const units = await sum(url, "amalgam_units_finished_total");
  expect(units).toBeGreaterThan(10);
  const families = await metricsOf(url);
  const seconds = families.get("amalgam_unit_seconds")?.samples ?? [];
  const counts = seconds.filter(({ name }) => name.endsWith("_count"));
  expect(new Set(counts.map(({ labels }) => labels["pass"]))).toEqual(new Set(["gather", "write"]));
  expect(counts.reduce((total, { value }) => total + value, 0)).toBe(units);
  expect(counts.every(({ labels }) => labels["method"] === "ties")).toBe(true);
  const written = await sum(url, "amalgam_bytes_written_total");
  const here = await sum(urls.agent, "amalgam_agent_bytes_written_total");
  expect(here).toBeGreaterThan(0);
  expect(here).toBeLessThan(written);
  expect(await sum(urls.agent, "amalgam_agent_calls_total", { call: "merge", outcome: "ok" })).toBeGreaterThan(0);
  const values = [...families.values()].flatMap(({ samples }) =>
    samples.flatMap(({ labels }) => Object.values(labels)),
  );
  expect(values.filter((value) => value.includes(job) || value.includes("layers"))).toEqual([]);
});

test.skipIf(why !== undefined)("they are alive and ready, over HTTP and over gRPC", async () => {
  for (const url of [urls.coordinator, urls.agent]) {
    expect(await (await fetch(`${url}/healthz`)).json()).toMatchObject({ status: "ok" });
    await expect.poll(async () => (await fetch(`${url}/readyz`)).json()).toEqual({ status: "ready", reasons: [] });
  }
  const health = createClient(Health, urls.grpc);
  expect((await health.check({ service: AgentService.typeName })).status).toBe(Serving.SERVING);
  expect((await health.check({})).status).toBe(Serving.SERVING);
  await expect(health.check({ service: "nobody" })).rejects.toThrow(/There is no service "nobody" here/);
  health.close();
});

test.skipIf(why !== undefined)("the status page is there, and the token lets one in", async () => {
  const page = await fetch(`${urls.coordinator}/`);
  expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
  const body = new URLSearchParams({ token });
  const login = await fetch(`${urls.coordinator}/login`, { method: "POST", redirect: "manual", body });
  expect(login.status).toBe(303);
});

test.skipIf(why !== undefined)("a trace goes from whoever submitted it through all processes", async () => {
  // Each process sends its own, in batches.
  const count = (wanted: string): number => collector.spans.filter(({ name }) => name === wanted).length;
  const areHere = (): boolean => count("job") === 1 && count("unit") === count("unit attempt");
  await expect.poll(() => areHere() && orphans(collector.spans).length === 0, { timeout: 20_000 }).toBe(true);
  const { spans } = collector;
  expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([caller.traceId]));
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const parentOf = ({ parentSpanId = "" }: ReceivedSpan): string => byId.get(parentSpanId)?.name ?? parentSpanId;
  const parents = new Map<string, Set<string>>();
  for (const span of spans) parents.set(span.name, (parents.get(span.name) ?? new Set()).add(parentOf(span)));
  expect(Object.fromEntries([...parents].map(([name, set]) => [name, [...set].sort()]))).toEqual({
    job: [caller.spanId],
    plan: ["job"],
    "gather pass": ["job"],
    "write pass": ["job"],
    commit: ["job"],
    "unit attempt": ["gather pass", "write pass"],
    unit: ["unit attempt"],
    read: ["unit"],
    compute: ["unit"],
    write: ["unit"],
  });
  const units = spans.filter(({ name }) => name === "unit");
  expect(units.length).toBeGreaterThan(10);
  for (const unit of units) {
    const attempt = byId.get(unit.parentSpanId ?? "");
    expect(unit).toMatchObject({ service: "amalgam-agent", node: attempt?.facts["amalgam.agent"], failed: false });
    expect(unit.facts["amalgam.unit"]).toBe(attempt?.facts["amalgam.unit"]);
    const parts = spans.filter(({ parentSpanId }) => parentSpanId === unit.spanId);
    // Sums that are laid end to end, within the unit; clocks are of one machine here.
    const longest = parts.reduce((total, { startMs, endMs }) => total + endMs - startMs, 0);
    expect(longest).toBeLessThanOrEqual(unit.endMs - unit.startMs + 5);
  }
});

/** Spans whose parent has not come. */
function orphans(spans: readonly ReceivedSpan[]): readonly ReceivedSpan[] {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  return spans.filter(({ parentSpanId = "" }) => !ids.has(parentSpanId) && parentSpanId !== caller.spanId);
}

test.skipIf(why !== undefined)(
  "without NATS they are alive and not ready, and both again once it is back",
  async () => {
    const nodes = [urls.coordinator, urls.agent];
    const readiness = () => Promise.all(nodes.map(async (url) => (await fetch(`${url}/readyz`)).status));
    await nats.kill();
    await expect.poll(readiness, { timeout: 20_000 }).toEqual([503, 503]);
    const body = await (await fetch(`${urls.coordinator}/readyz`)).json();
    expect(body).toMatchObject({ status: "not ready", reasons: [{ check: "nats", problem: "it is not reached" }] });
    for (const url of nodes) {
      expect((await fetch(`${url}/healthz`)).status).toBe(200);
      expect(await sum(url, "amalgam_nats_connected")).toBe(0);
      expect(await sum(url, "amalgam_nats_disconnects_total")).toBe(1);
    }
    await nats.restart();
    await expect.poll(readiness, { timeout: 20_000 }).toEqual([200, 200]);
  },
);

test.skipIf(why !== undefined)(
  "a drain is told at once, and logs are JSON to the last line",
  async () => {
    const health = createClient(Health, urls.grpc);
    const watching = health.watch({ service: "" });
    expect((await watching.next()).value?.status).toBe(Serving.SERVING);
    const next = watching.next();
    const ends = [...agents, coordinator].map((node) => node.kill("SIGTERM"));
    expect((await next).value?.status).toBe(Serving.NOT_SERVING);
    await watching.return();
    health.close();
    const [, second, leader] = await Promise.all(ends);
    const records = `${second?.stderr}${leader?.stderr}`
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
    const has = (fields: object): void => expect(records).toContainEqual(expect.objectContaining(fields));
    has({
      node: "a2",
      role: "agent",
      level: "info",
      msg: expect.stringMatching(/^Agent a2 listens on 127\.0\.0\.1:\d+$/),
    });
    has({ node: "c1", role: "coordinator", level: "info", job, event: "planned", trace_id: caller.traceId });
    has({ node: "c1", level: "debug", job, event: "unit finished", unit: 0, attempt: 1, agent: expect.any(String) });
    has({ node: "c1", job, event: "job done" });
    has({ node: "a2", event: "ended" });
    for (const node of ["c1", "a2"]) {
      has({ node, level: "warning", event: "nats lost" });
      has({ node, level: "info", event: "nats back" });
    }
    has({ node: "c1", msg: "Coordinator c1 hands its jobs over and leaves" });
    const about = { unit: expect.any(Number), attempt: 1, trace_id: caller.traceId };
    has({ node: "a2", level: "debug", event: "work finished", call: "merge", ...about });
    expect(leader?.stdout.split("\n").filter((line) => line !== "" && !line.startsWith("{"))).toEqual([]);
  },
  30_000,
);

test.each([
  // An address that others can reach takes a certificate, and that is said before anything runs.
  [
    "agent",
    ["--root", ".", "--no-eval", "--http", "0.0.0.0:0"],
    "usage",
    2,
    /^Cannot serve HTTP on .*"--http-tls-cert"/,
  ],
  ["coordinator", ["--nats", "nats://127.0.0.1:1"], "bus_failed", 1, /^Cannot /],
] as const)("what ends one %s is JSON where the log is", async (command, words, code, exitCode, reason) => {
  await using node = startAmalgam([command, ...words, "--log-format", "json"]);
  const ended = await node.ended;
  expect(ended.code).toBe(exitCode);
  const lines = ended.stderr.trim().split("\n");
  expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({
    ...{ level: "error", role: command, code },
    msg: expect.stringMatching(reason),
  });
});
