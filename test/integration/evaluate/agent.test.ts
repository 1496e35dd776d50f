import { fork } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { appendFile, rename, utimes } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { type AgentOptions, runAgent } from "../../../node-agent/agent.js";
import { Evaluations } from "../../../node-agent/evaluate/evaluations.js";
import type { SliceEvent } from "../../../node-agent/evaluate/process/protocol.js";
import type { Provider } from "../../../node-agent/evaluate/providers.js";
import { AmalgamError } from "../../../shared/errors.js";
import { AgentService, type EvaluateRequest, type EvaluateResponse } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { GraphBuilder } from "../../../shared/onnx/graph-builder.js";
import { createClient } from "../../../shared/rpc/client.js";
import { randomTensor, withTempDir, writeCheckpoint } from "../../support/checkpoints.js";
import { collect } from "../../support/dispatch.js";
import {
  bodyGraph,
  evaluateRequest,
  floatInput,
  headGraph,
  stepGraph,
  textBatch,
  tiny,
  writeTiny,
} from "../../support/tiny-evaluations.js";

async function startOne(options: Partial<AgentOptions> = {}) {
  const folder = await withTempDir();
  const agent = await runAgent({ roots: [folder.path], slots: 1, ...options });
  const client = createClient(AgentService, agent.address);
  return {
    agent,
    client,
    folder: folder.path,
    path: await writeTiny(folder.path),
    async [Symbol.asyncDispose]() {
      client.close();
      await agent.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

const vectors = { case: "vectors", value: { graph: "body" } } as const;

function short(path: string, fence = 0n): Promise<EvaluateRequest> {
  const batches = [textBatch(0, [[1, 2, 3], [4]]), textBatch(1, [[5, 6]])];
  return evaluateRequest(path, { body: bodyGraph() }, { measure: vectors, batches, leadership: { job: "j", fence } });
}

/** Goes on until it is stopped, for minutes. */
function long(path: string, fence = 0n): Promise<EvaluateRequest> {
  const measure = { case: "generation", value: { maxNewTokens: 30_000 } } as const;
  const cache = [{ heads: 1, width: tiny.width }];
  const graphs = { step: stepGraph(), head: headGraph() };
  const batches = [textBatch(0, [[1]])];
  return evaluateRequest(path, graphs, { measure, batches, leadership: { job: "j", fence } }, { cache });
}

function resultsIn(responses: readonly EvaluateResponse[]): readonly number[] {
  return responses.flatMap(({ event }) => (event.case === "result" ? [event.value.batch] : []));
}

function factsIn(responses: readonly EvaluateResponse[]) {
  const all = responses.flatMap(({ event }) => (event.case === "facts" ? [event.value] : []));
  expect(all).toHaveLength(1);
  return all[0];
}

test("a slice streams progress, facts once, and a result per batch; the next finds its model loaded", async () => {
  await using started = await startOne();
  const request = await short(started.path);
  const responses = await collect(started.client.evaluate(request));
  expect(resultsIn(responses)).toEqual([0, 1]);
  expect(factsIn(responses)).toMatchObject({ provider: "cpu", fallback: "", runtime: "1.30.0" });
  expect(factsIn(responses)?.loadSeconds).toBeGreaterThan(0);
  const events = responses.map(({ event }) => event.case);
  expect(events.indexOf("facts")).toBeLessThan(events.indexOf("result"));
  const read = responses.reduce(
    (sum, { event }) => sum + (event.case === "progress" ? Number(event.value.bytesRead) : 0),
    0,
  );
  const [embedding, inputs] = [4 * tiny.vocabulary * tiny.width, 4 * 2 * (6 + 2)];
  expect(read).toBe(embedding + inputs);
  expect(factsIn(await collect(started.client.evaluate(request)))?.loadSeconds).toBe(0);
});

test("an agent says which providers it was told to use, and refuses to evaluate without one", async () => {
  await using started = await startOne({ providers: ["cuda", "cpu"] });
  expect((await started.client.describe({})).providers).toEqual(["cuda", "cpu"]);
  await using other = await startOne({ providers: [] });
  expect((await other.client.describe({})).providers).toEqual([]);
  await expect(collect(other.client.evaluate(await short(other.path)))).rejects.toMatchObject({
    code: "usage",
    message: expect.stringContaining("--no-eval"),
  });
});

test("a provider that cannot be loaded is left for the next, and the reason is told", async () => {
  await using started = await startOne({ providers: ["cuda", "cpu"] });
  const facts = factsIn(await collect(started.client.evaluate(await short(started.path))));
  expect(facts).toMatchObject({ provider: "cpu", fallback: expect.stringMatching(/^cuda: .*[Ff]ailed to load/) });
  await using other = await startOne({ providers: ["cuda"] });
  await expect(collect(other.client.evaluate(await short(other.path)))).rejects.toMatchObject({
    code: "io_failed",
    message: expect.stringContaining("cuda: "),
  });
});

const changes: readonly [string, (file: string) => Promise<void>, string][] = [
  ["longer", (file) => appendFile(file, "x"), "bytes then"],
  ["touched", (file) => utimes(file, 1, 1), "at another time"],
  ["gone", (file) => rename(file, `${file}.old`), "model.safetensors"],
];

test.each(changes)("a weight file that is %s since the evaluation was planned is named", async (_, change, problem) => {
  await using started = await startOne();
  const request = await short(started.path);
  await collect(started.client.evaluate(request));
  const file = join(started.path, "model.safetensors");
  await change(file);
  await expect(collect(started.client.evaluate(request))).rejects.toMatchObject({
    message: expect.stringContaining(problem),
    details: expect.objectContaining({ file }),
  });
});

test("nothing outside the roots is read", async () => {
  await using started = await startOne();
  await using elsewhere = await withTempDir();
  const request = await short(await writeTiny(elsewhere.path));
  const refused = { code: "path_refused", message: expect.stringContaining("is outside") };
  await expect(collect(started.client.evaluate(request))).rejects.toMatchObject(refused);
  const mixed = await short(started.path);
  mixed.model?.sources.push(...(request.model?.sources ?? []));
  await expect(collect(started.client.evaluate(mixed))).rejects.toMatchObject(refused);
});

test("a checkpoint that has grown a file since the evaluation was planned is refused", async () => {
  await using started = await startOne();
  const request = await short(started.path);
  const tensors = { embedding: randomTensor(1, [tiny.vocabulary, tiny.width]), more: randomTensor(2, [3]) };
  await writeCheckpoint(join(started.folder, "shards"), tensors, { shards: 2 });
  if (request.model !== undefined) request.model.checkpoint = join(started.folder, "shards");
  await expect(collect(started.client.evaluate(request))).rejects.toMatchObject({
    code: "checkpoint_changed",
    message: expect.stringContaining("model-00001-of-00002.safetensors"),
  });
});

test("a checkpoint without the graph's tensors is refused by their names, and the agent lives on", async () => {
  await using started = await startOne();
  const other = await writeCheckpoint(join(started.folder, "other"), { table: randomTensor(1, [2, 2]) });
  await expect(collect(started.client.evaluate(await short(other)))).rejects.toMatchObject({
    code: "checkpoint_mismatch",
    message: expect.stringContaining('"embedding"'),
  });
  expect(resultsIn(await collect(started.client.evaluate(await short(started.path))))).toEqual([0, 1]);
});

test("a request that contradicts itself reaches no model", async () => {
  await using started = await startOne();
  const request = await short(started.path);
  const [input] = request.batches[0]?.inputs ?? [];
  if (input !== undefined) input.shape = [2, 7];
  await expect(collect(started.client.evaluate(request))).rejects.toMatchObject({
    code: "usage",
    message: expect.stringContaining('input "input_ids" of batch 0 is [2, 7] of I32, 56 bytes, and has 24'),
  });
});

test("a graph that asks for terabytes fails as out of memory, and the next slice runs", async () => {
  await using started = await startOne();
  const g = new GraphBuilder("huge");
  const x = g.input("x", "FLOAT", ["batch"]);
  const huge = g.op("Expand", [x, g.constant("INT64", [2 ** 42, 1])]);
  g.output("y", g.op("ReduceSum", [huge], { keepdims: 0 }), "FLOAT", []);
  const batches = [{ inputs: [floatInput("x", [1], [1])] }];
  const request = await evaluateRequest(started.path, { body: g.build().model }, { measure: vectors, batches });
  await expect(collect(started.client.evaluate(request))).rejects.toMatchObject({ code: "out_of_memory" });
  expect(resultsIn(await collect(started.client.evaluate(await short(started.path))))).toEqual([0, 1]);
});

test("a batch too large for the agent's memory is refused before it is run", async () => {
  await using started = await startOne({ evalMemoryBytes: 16 << 20 });
  await expect(collect(started.client.evaluate(await long(started.path)))).rejects.toMatchObject({
    code: "out_of_memory",
    message: expect.stringMatching(/it needs .* the agent may use 16\.8 MB; .*"--eval-memory"/),
    details: expect.objectContaining({ allowed: String(16 << 20) }),
  });
});

/** Resolves when the slice is at work. */
function begun(client: ReturnType<typeof createClient<(typeof AgentService)["method"]>>, request: EvaluateRequest) {
  const controller = new AbortController();
  let atWork = (): void => undefined;
  const working = new Promise<void>((resolve) => {
    atWork = resolve;
  });
  const run = async (): Promise<void> => {
    for await (const { event } of client.evaluate(request, { signal: controller.signal })) {
      if (event.case === "facts") atWork();
    }
  };
  const over = run();
  // A slice that fails first fails the test, and not by its time.
  return {
    working: Promise.race([working, over]),
    over,
    cancel: () => controller.abort(new AmalgamError("canceled", "Enough")),
  };
}

test("a canceled slice makes way for the next, which finds the process as it was", async () => {
  await using started = await startOne();
  const slice = begun(started.client, await long(started.path));
  await slice.working;
  const [pid] = childrenOf(process.pid);
  slice.cancel();
  await expect(slice.over).rejects.toMatchObject({ code: "canceled" });
  expect(resultsIn(await collect(started.client.evaluate(await short(started.path))))).toEqual([0, 1]);
  expect(childrenOf(process.pid)).toEqual([pid]);
});

test("a later leader stops the slices of the one before", async () => {
  await using started = await startOne();
  const slice = begun(started.client, await long(started.path, 1n));
  await slice.working;
  expect(resultsIn(await collect(started.client.evaluate(await short(started.path, 2n))))).toEqual([0, 1]);
  await expect(slice.over).rejects.toMatchObject({ code: "fenced" });
  const late = collect(started.client.evaluate(await short(started.path, 1n)));
  await expect(late).rejects.toMatchObject({ code: "fenced" });
});

test("an agent that drains refuses slices and lets none go on for ever", async () => {
  await using started = await startOne();
  const slice = begun(started.client, await long(started.path));
  await slice.working;
  expect(started.agent.running).toBe(1);
  const closing = started.agent.close({ graceMs: 1_000 });
  await expect(collect(started.client.evaluate(await short(started.path)))).rejects.toMatchObject({
    code: "agent_draining",
  });
  await expect(slice.over).rejects.toMatchObject({ code: "agent_draining" });
  await closing;
  expect(childrenOf(process.pid)).toEqual([]);
});

test("a process that is killed fails its slice, and the next slice gets a new one", async () => {
  await using started = await startOne();
  const slice = begun(started.client, await long(started.path));
  await slice.working;
  for (const pid of childrenOf(process.pid)) process.kill(pid, "SIGKILL");
  await expect(slice.over).rejects.toMatchObject({
    code: "out_of_memory",
    message: expect.stringContaining("SIGKILL"),
    details: expect.objectContaining({ checkpoint: started.path }),
  });
  expect(resultsIn(await collect(started.client.evaluate(await short(started.path))))).toEqual([0, 1]);
});

test("a process that crashes is named by its signal", async () => {
  await using started = await startOne();
  const slice = begun(started.client, await long(started.path));
  await slice.working;
  for (const pid of childrenOf(process.pid)) process.kill(pid, "SIGSEGV");
  await expect(slice.over).rejects.toMatchObject({
    code: "internal",
    message: expect.stringMatching(/^Cannot evaluate ".*": the process that ran it was ended by SIGSEGV/),
  });
});

test("the process ends when nobody has asked for a model for a while", async () => {
  await using folder = await withTempDir();
  const settings = { roots: [folder.path], providers: ["cpu" as Provider], threads: 1, memoryBytes: undefined };
  const evaluations = new Evaluations({ settings, idleMs: 100 });
  const request = await short(await writeTiny(folder.path));
  const onEvent = (_: SliceEvent, taken: () => void): void => taken();
  await evaluations.run(request, { onEvent }, new AbortController().signal);
  expect(evaluations.pid).toBeGreaterThan(0);
  await expect.poll(() => evaluations.pid, { timeout: 10_000 }).toBeUndefined();
  await evaluations.run(request, { onEvent }, new AbortController().signal);
  await evaluations.close(new AmalgamError("canceled", "Done"));
  expect(evaluations.pid).toBeUndefined();
});

const agentEntry = new URL("../../../node-agent/main.js", import.meta.url);

test("the process does not outlive an agent that is killed", async () => {
  await using folder = await withTempDir();
  const agent = fork(agentEntry, ["--root", folder.path, "--slots", "1"], { execArgv: [] });
  const [{ address }] = (await once(agent, "message")) as [{ address: string }];
  const client = createClient(AgentService, address);
  const slice = begun(client, await long(await writeTiny(folder.path)));
  await slice.working;
  const [pid = 0] = childrenOf(agent.pid ?? 0);
  expect(isAlive(pid)).toBe(true);
  agent.kill("SIGKILL");
  await expect(slice.over).rejects.toMatchObject({ code: "agent_lost" });
  client.close();
  await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
});

test("an agent that is a thread evaluates too, and leaves no process behind", async () => {
  await using folder = await withTempDir();
  const thread = new Worker(agentEntry, { argv: ["--root", folder.path, "--slots", "1"], execArgv: [] });
  const [{ address }] = (await once(thread, "message")) as [{ address: string }];
  const client = createClient(AgentService, address);
  expect(resultsIn(await collect(client.evaluate(await short(await writeTiny(folder.path)))))).toEqual([0, 1]);
  client.close();
  expect(childrenOf(process.pid)).toHaveLength(1);
  await thread.terminate();
  await expect.poll(() => childrenOf(process.pid), { timeout: 10_000 }).toEqual([]);
});

/** Processes that a process, by any of its threads, has started and that run. */
function childrenOf(pid: number): readonly number[] {
  const threads = readdirSync(`/proc/${pid}/task`);
  const texts = threads.map((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8"));
  return texts.flatMap((text) => text.split(" ").filter(Boolean).map(Number)).filter(isAlive);
}

function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
