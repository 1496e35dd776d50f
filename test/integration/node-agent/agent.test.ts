import { type ChildProcess, execFileSync, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { Client, credentials, status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { createRequestBuilder } from "../../../coordinator/dispatch/request.js";
import { runAgent } from "../../../node-agent/main.js";
import { AgentService, type MergeRequest, MergeRequestSchema } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { createClient } from "../../../shared/rpc/client.js";
import { readSecurity, type Security } from "../../../shared/rpc/security.js";
import { packageVersion } from "../../../shared/rpc/version.js";
import { makeCertificates } from "../../support/cluster/certificates.js";
import {
  collect,
  fakeAgentEntry,
  fakePlan,
  fakeWorker,
  startAgent,
  streamed,
  temporaryFolder,
  unitPerTensor,
} from "../../support/dispatch.js";

const plan = fakePlan([{ name: "a", elements: 20_000 }]);
const [unit] = unitPerTensor(plan);
if (unit === undefined) throw new Error("The plan has no unit");
const request = createRequestBuilder(plan, "job")(unit, { epoch: 1, task: streamed }).message;

async function startOne(options: { slots?: number } = {}) {
  const folder = await temporaryFolder();
  const agent = await startAgent(folder.path, options);
  const client = createClient(AgentService, agent.address);
  return {
    agent,
    client,
    folder,
    async [Symbol.asyncDispose]() {
      client.close();
      await agent.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

test("an agent describes itself", async () => {
  await using started = await startOne({ slots: 3 });
  expect(await started.client.describe({})).toMatchObject({
    name: started.agent.name,
    version: packageVersion(),
    slots: 3,
    memoryBytes: 2n * 1024n ** 3n,
    roots: [started.folder.path],
  });
});

test("an agent refuses to listen on anything but loopback", async () => {
  await using folder = await temporaryFolder();
  for (const host of ["0.0.0.0", "::", "192.0.2.7", "127.0.0.1.example"]) {
    await expect(runAgent({ roots: [folder.path], host })).rejects.toMatchObject({
      code: "usage",
      message: expect.stringContaining(
        `Cannot listen on "${host}": connections are neither encrypted nor authenticated`,
      ),
    });
  }
});

test("an agent says when its port is taken", async () => {
  await using started = await startOne();
  const port = Number(started.agent.address.split(":")[1]);
  await expect(runAgent({ roots: [started.folder.path], port })).rejects.toThrow("Cannot listen on");
});

test("an agent streams a unit: progress, chunks, receipts", async () => {
  await using started = await startOne();
  const events = (await collect(started.client.merge(request))).map(({ event }) => event.case);
  expect(events.filter((name) => name === "chunk")).toHaveLength(10);
  expect(events).toContain("progress");
  expect(events.filter((name) => name === "receipt")).toHaveLength(1);
});

test("an agent refuses a program with an operator that it does not know", async () => {
  await using started = await startOne();
  const odd: MergeRequest = create(MergeRequestSchema, request);
  const programs = request.programs.map((program) => ({
    ...program,
    nodes: program.nodes.map((n) => ({ ...n, op: "shell" })),
  }));
  await expect(collect(started.client.merge({ ...odd, programs }))).rejects.toMatchObject({
    code: "usage",
    message: expect.stringContaining('node 0 ("shell") has an operator that this agent does not know'),
  });
});

test("an agent stops its worker when the call is canceled", async () => {
  await using started = await startOne({ slots: 1 });
  await started.folder.script({ fault: "hang" });
  const hanging = new AbortController();
  const first = collect(started.client.merge(request, { signal: hanging.signal }));
  setTimeout(() => hanging.abort(), 50);
  await expect(first).rejects.toMatchObject({ code: "canceled" });
  await started.folder.script({});
  // The only worker is free again.
  expect((await collect(started.client.merge(request))).length).toBeGreaterThan(0);
});

test("a draining agent finishes what it runs and refuses what is new", async () => {
  await using started = await startOne();
  await started.folder.script({ sleepMs: 300 });
  const running = collect(started.client.merge(request));
  await new Promise((resolve) => setTimeout(resolve, 100));
  const closed = started.agent.close({ graceMs: 10_000 });
  await expect(collect(started.client.merge(request))).rejects.toMatchObject({ code: "agent_draining" });
  expect((await running).length).toBeGreaterThan(10);
  await closed;
});

test("a draining agent stays until its last unit has been read", async () => {
  await using started = await startOne();
  const plan = fakePlan([{ name: "large", elements: 4_000_000 }]);
  const [unit] = unitPerTensor(plan);
  if (unit === undefined) throw new Error("The plan has no unit");
  const task = { kind: "stream", chunkBytes: 1 << 20 } as const;
  const running = started.client.merge(createRequestBuilder(plan, "job")(unit, { epoch: 1, task }).message);
  await running.next();
  await expect.poll(() => started.agent.running, { timeout: 20_000 }).toBe(0);
  const closed = started.agent.close({ graceMs: 20_000 });
  // Longer than an agent with nothing to do takes to be gone.
  await sleep(1_000);
  expect((await collect(running)).filter(({ event }) => event.case === "receipt")).toHaveLength(1);
  await closed;
});

test("an agent out of grace ends its units with agent_draining", async () => {
  await using started = await startOne();
  await started.folder.script({ fault: "hang" });
  const running = collect(started.client.merge(request));
  const failed = expect(running).rejects.toMatchObject({ code: "agent_draining" });
  await new Promise((resolve) => setTimeout(resolve, 100));
  await started.agent.close({ graceMs: 50 });
  await failed;
});

/** An agent that speaks TLS, in a test of its own. */
async function startSecured() {
  const folder = await temporaryFolder();
  const files = await makeCertificates(join(folder.path, "ours"), []);
  const security = readSecurity(files);
  const agent = await runAgent({ roots: [folder.path], worker: fakeWorker, slots: 1, security });
  return {
    agent,
    files,
    folder,
    security,
    async [Symbol.asyncDispose]() {
      await agent.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

test("with TLS, an agent serves one whose certificate its authority signed", async () => {
  await using started = await startSecured();
  const client = createClient(AgentService, started.agent.address, started.security);
  expect((await client.describe({})).name).toBe(started.agent.name);
  expect((await collect(client.merge(request))).length).toBeGreaterThan(10);
  client.close();
});

test("with TLS, an agent refuses everybody else", async () => {
  await using started = await startSecured();
  const theirs = await makeCertificates(join(started.folder.path, "others"), []);
  const strangers: readonly (readonly [string, Security])[] = [
    ["in plain text", { kind: "loopback" }],
    ["with another authority", readSecurity(theirs)],
    ["with another authority's certificate", readSecurity({ ...theirs, ca: started.files.ca })],
    ["who trusts another authority", readSecurity({ ...started.files, ca: theirs.ca })],
  ];
  for (const [who, security] of strangers) {
    const client = createClient(AgentService, started.agent.address, security);
    await expect(client.describe({}, { timeoutMs: 10_000 }), who).rejects.toMatchObject({ code: "agent_lost" });
    client.close();
  }
});

test("with TLS, an agent refuses one without a certificate", async () => {
  await using started = await startSecured();
  if (started.security.kind !== "mutual-tls") throw new Error("There are certificates");
  const client = new Client(started.agent.address, credentials.createSsl(started.security.ca));
  const ready = new Promise<void>((resolve, reject) => {
    const asBytes = (bytes: Buffer): Buffer => bytes;
    const path = "/amalgam.v1.AgentService/Describe";
    client.makeUnaryRequest(path, asBytes, asBytes, Buffer.alloc(0), { deadline: Date.now() + 10_000 }, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
  await expect(ready).rejects.toMatchObject({ code: status.UNAVAILABLE });
  client.close();
});

const main = fileURLToPath(new URL("../../../node-agent/main.js", import.meta.url));

/** `amalgam agent`, the line that it prints, and its exit code and signal. */
async function spawnAgent(
  ...words: string[]
): Promise<{ child: ChildProcess; line: string; ended: Promise<unknown[]> }> {
  const child = spawn(process.execPath, [main, ...words], { stdio: ["ignore", "pipe", "pipe"] });
  // From the start: it may have ended before its line is read.
  const ended = once(child, "close");
  const [line] = await Promise.race([once(child.stdout, "data"), once(child.stderr, "data")]);
  return { child, line: String(line).trim(), ended };
}

test("the agent command prints its address and exits with 0 on SIGTERM", async () => {
  await using folder = await temporaryFolder();
  const { child, line, ended } = await spawnAgent("--root", folder.path, "--name", "box", "--slots", "1");
  expect(line).toMatch(/^Agent box listens on 127\.0\.0\.1:\d+$/);
  const client = createClient(AgentService, line.split(" ").at(-1) ?? "");
  expect((await client.describe({})).name).toBe("box");
  client.close();
  child.kill("SIGTERM");
  expect(await ended).toEqual([0, null]);
});

test.each([
  [["--host", "0.0.0.0"], 'Cannot listen on "0.0.0.0": connections are neither encrypted nor authenticated'],
  [["--tls-ca", "ca.pem"], 'Cannot use TLS: give all of "--tls-ca", "--tls-cert" and "--tls-key"'],
  [["--nats", "nats://192.0.2.1:4222"], 'Cannot use NATS at "nats://192.0.2.1:4222" without TLS and credentials'],
  [["--nats", "http://127.0.0.1"], 'Cannot use "http://…" as NATS'],
])("the agent command refuses %j", async (words, message) => {
  await using folder = await temporaryFolder();
  const { line, ended } = await spawnAgent("--root", folder.path, ...words);
  expect(line).toContain(message);
  expect(await ended).toEqual([2, null]);
});

test("the agent command ends with an error line when something happens that nobody was prepared for", async () => {
  await using folder = await temporaryFolder();
  const surprise = 'process.on("SIGUSR2", () => void Promise.reject(new Error("out of the blue")))';
  const imported = ["--import", `data:text/javascript,${encodeURIComponent(surprise)}`];
  const child = spawn(process.execPath, [...imported, main, "--root", folder.path, "--slots", "1"]);
  await once(child.stdout, "data");
  let said = "";
  child.stderr.on("data", (text) => {
    said += text;
  });
  child.kill("SIGUSR2");
  expect(await once(child, "close")).toEqual([1, null]);
  expect(said).toContain("out of the blue");
});

test("an agent whose thread waits inside the system ends all the same", async () => {
  await using folder = await temporaryFolder();
  execFileSync("mkfifo", [join(folder.path, "fifo")]);
  await folder.script({ fault: "stuck" });
  const child = fork(fakeAgentEntry, ["--root", folder.path, "--slots", "1"], {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  const [{ address }] = await once(child, "message");
  const client = createClient(AgentService, address);
  const running = client.merge(request);
  // The agent says that it has the unit, then its worker that it is about to be stuck.
  await running.next();
  await running.next();
  // Not at its exit: what it said last may come after.
  const exited = once(child, "close");
  let said = "";
  child.stderr?.on("data", (text) => {
    said += text;
  });
  child.send({ type: "close" });
  expect(await exited).toEqual([null, "SIGKILL"]);
  expect(said).toContain("1 of its threads still wait");
  await expect(running.next()).rejects.toMatchObject({ code: "agent_draining" });
  client.close();
});

test("the agent command says what is wrong with its arguments and exits with 2", async () => {
  const { line, ended } = await spawnAgent("--slots", "many");
  expect(line).toBe('Cannot use "many" for "--slots": it is not a whole number');
  expect(await ended).toEqual([2, null]);
});
