import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Evaluations } from "../../../node-agent/evaluate/evaluations.js";
import type { SliceEvent } from "../../../node-agent/evaluate/process/protocol.js";
import { AmalgamError } from "../../../shared/errors.js";
import { AgentService, type EvaluateRequest } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { GraphBuilder } from "../../../shared/onnx/graph-builder.js";
import { createClient } from "../../../shared/rpc/client.js";
import { withTempDir } from "../../support/checkpoints.js";
import { childrenOf } from "../../support/command.js";
import {
  evaluateRequest,
  floatInput,
  headGraph,
  stepGraph,
  textBatch,
  tiny,
  writeTiny,
} from "../../support/tiny-evaluations.js";

// What happens to an agent's evaluations when the machine around them changes.

async function startEvaluations() {
  const folder = await withTempDir();
  const evaluations = new Evaluations({
    settings: { roots: [folder.path], providers: ["cpu"], threads: 1, memoryBytes: undefined },
  });
  return {
    evaluations,
    path: await writeTiny(folder.path),
    async [Symbol.asyncDispose]() {
      await evaluations.close(new AmalgamError("canceled", "Done"));
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** A slice of generation, so many tokens for each of its batches. */
function generating(path: string, tokens: number, batches = 1): Promise<EvaluateRequest> {
  const measure = { case: "generation", value: { maxNewTokens: tokens } } as const;
  const graphs = { step: stepGraph(), head: headGraph() };
  const texts = Array.from({ length: batches }, (_, i) => textBatch(i, [[1 + (i % 30)]]));
  return evaluateRequest(path, graphs, { measure, batches: texts }, { cache: [{ heads: 1, width: tiny.width }] });
}

/** Runs a slice. Resolves with the number of its results, or with the error. */
async function run(
  evaluations: Evaluations,
  request: EvaluateRequest,
  onEvent: (event: SliceEvent) => void = () => {},
) {
  let results = 0;
  const listener = {
    onEvent: (event: SliceEvent, taken: () => void) => {
      if (event.type === "result") results += 1;
      onEvent(event);
      taken();
    },
  };
  const never = new AbortController().signal;
  const failure = await evaluations.run(request, listener, never).then(() => undefined, AmalgamError.from);
  return { results, failure };
}

test("no answer is given of weights that changed while a slice was running", async () => {
  await using started = await startEvaluations();
  const file = join(started.path, "model.safetensors");
  const request = await generating(started.path, 100, 50);
  let touchedAt = 0;
  const { results, failure } = await run(started.evaluations, request, ({ type }) => {
    if (type === "result" && touchedAt++ === 0) utimesSync(file, 1, 1);
  });
  expect(failure).toMatchObject({ code: "checkpoint_changed", details: { file } });
  expect(results).toBeLessThan(50);
});

test("a model's process is told to compute in whole f32 where a GPU would round", async () => {
  await using started = await startEvaluations();
  await run(started.evaluations, await generating(started.path, 2));
  const environment = readFileSync(`/proc/${started.evaluations.pid}/environ`, "utf8").split("\0");
  expect(environment).toContain("NVIDIA_TF32_OVERRIDE=0");
});

/** Makes the system refuse to start any process (E2BIG), until disposed. */
function withoutProcesses(): Disposable {
  process.env["AMALGAM_TEST_TOO_LONG"] = "x".repeat(1 << 18);
  return { [Symbol.dispose]: () => delete process.env["AMALGAM_TEST_TOO_LONG"] };
}

test("a slice fails where the system starts no process, and a later one runs", async () => {
  await using started = await startEvaluations();
  const request = await generating(started.path, 2);
  {
    using _ = withoutProcesses();
    expect((await run(started.evaluations, request)).failure).toMatchObject({ details: { errno: "E2BIG" } });
  }
  expect(await run(started.evaluations, request)).toEqual({ results: 1, failure: undefined });
  expect(started.evaluations.size).toBe(0);
});

test("slices that wait for a process that dies fail where the system starts no other", async () => {
  await using started = await startEvaluations();
  const { evaluations } = started;
  const short = await generating(started.path, 2);
  const waiting: Promise<{ failure: AmalgamError | undefined }>[] = [];
  const first = await run(evaluations, await generating(started.path, 30_000), ({ type }) => {
    if (type !== "facts") return;
    waiting.push(run(evaluations, short), run(evaluations, short));
    withoutProcesses();
    process.kill(evaluations.pid ?? 0, "SIGKILL");
  });
  expect(first.failure).toMatchObject({ code: "out_of_memory" });
  for (const { failure } of await Promise.all(waiting)) expect(failure).toMatchObject({ details: { errno: "E2BIG" } });
  delete process.env["AMALGAM_TEST_TOO_LONG"];
  expect(await run(evaluations, short)).toEqual({ results: 1, failure: undefined });
});

/** One run of the graph takes minutes. */
function endlessGraph(): Uint8Array {
  const g = new GraphBuilder("endless");
  const x = g.input("x", "FLOAT", ["batch"]);
  const one = g.constant("INT64", [3_000, 3_000]);
  let square = g.op("Expand", [x, one]);
  for (let i = 0; i < 1_000; i++) square = g.op("MatMul", [square, square]);
  g.output("y", g.op("ReduceMax", [square, g.constant("INT64", [0])], { keepdims: 0 }), "FLOAT", ["width"]);
  return g.build().model;
}

test("a process in the middle of native code does not outlive its agent", async () => {
  await using folder = await withTempDir();
  const entry = new URL("../../../node-agent/main.js", import.meta.url);
  const agent = fork(entry, ["--root", folder.path, "--slots", "1", "--eval-threads", "1"], { execArgv: [] });
  const [{ address }] = (await once(agent, "message")) as [{ address: string }];
  const client = createClient(AgentService, address);
  const measure = { case: "vectors", value: { graph: "body" } } as const;
  const batches = [{ inputs: [floatInput("x", [1], [1])] }];
  const path = await writeTiny(folder.path);
  const request = await evaluateRequest(path, { body: endlessGraph() }, { measure, batches });
  let child = 0;
  const slice = (async () => {
    for await (const { event } of client.evaluate(request)) {
      if (event.case !== "facts") continue;
      [child = 0] = await childrenOf(agent.pid ?? 0);
      agent.kill("SIGKILL");
    }
  })();
  await expect(slice).rejects.toMatchObject({ code: "agent_lost" });
  client.close();
  expect(child).toBeGreaterThan(0);
  await expect.poll(() => isAlive(child), { timeout: 10_000 }).toBe(false);
});

/** A zombie has ended: it waits for whoever adopted it. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}
