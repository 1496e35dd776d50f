import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Agent } from "../../../../coordinator/dispatch/agents.js";
import { runSlice, type SliceOptions } from "../../../../coordinator/evaluate/attempt.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { type EvaluateResponse, EvaluateResponseSchema } from "../../../../shared/gen/amalgam/v1/agent_pb.js";
import type { CallOptions } from "../../../../shared/rpc/client.js";

function response(event: NonNullable<MessageInitShape<typeof EvaluateResponseSchema>["event"]>): EvaluateResponse {
  return create(EvaluateResponseSchema, { event });
}

const facts = response({
  case: "facts",
  value: { provider: "cpu", fallback: "cuda: none", runtime: "1.30.0", loadSeconds: 2, peakBytes: 300n },
});
const result = (batch: number): EvaluateResponse =>
  response({ case: "result", value: { batch, width: 1, vectors: new Uint8Array(4), seconds: 0.5 } });

/** An agent that answers this and, unless it ends, nothing more until it is told to stop. */
function agentThat(responses: readonly EvaluateResponse[], ends = true) {
  const told = { toStop: false };
  async function* evaluate(_: unknown, { signal }: CallOptions = {}): AsyncGenerator<EvaluateResponse, void, void> {
    try {
      yield* responses;
      if (ends) return;
      await new Promise((_, reject) => {
        const stop = (): void => reject(signal?.reason);
        if (signal?.aborted === true) stop();
        signal?.addEventListener("abort", stop, { once: true });
      });
    } finally {
      told.toStop = true;
    }
  }
  const agent = { name: "a", label: '"a" at 127.0.0.1:1', client: { evaluate } } as unknown as Agent;
  return { agent, told };
}

const measure = { kind: "vectors", graph: "body" } as const;
const slice = { id: 7, model: 0, task: 0, measure, batches: [3, 4], bytesRead: 1, bytesWritten: 0 };
const one = { examples: 1, targets: 0 };
const expected = new Map([
  [3, one],
  [4, one],
]);

function run(agent: Agent, options: Partial<SliceOptions> = {}, bytesRead = 1) {
  const outputs: number[] = [];
  const onOutput = (batch: number): void => void outputs.push(batch);
  const request = { slice: { ...slice, bytesRead }, message: {}, expected };
  return { outputs, facts: runSlice(agent, request, { onOutput, ...options }) };
}

test("answers are told as they come, and what ran them at the end", async () => {
  const progress: (readonly number[])[] = [];
  const steps = [10n, 5n].map((bytesRead) => response({ case: "progress", value: { bytesRead, bytesWritten: 0n } }));
  const { agent } = agentThat([...steps, facts, result(4), result(3)]);
  const attempt = run(agent, { onProgress: (read, written) => void progress.push([read, written]) });
  expect(await attempt.facts).toEqual({
    ...{ agent: "a", provider: "cpu", fallback: "cuda: none", runtime: "1.30.0", loadSeconds: 2, peakBytes: 300 },
  });
  expect(attempt.outputs).toEqual([4, 3]);
  expect(progress).toEqual([
    [10, 0],
    [15, 0],
  ]);
});

test.each<readonly [string, readonly EvaluateResponse[], string]>([
  ["a batch twice", [facts, result(3), result(3)], "batch 3 was not asked for, or twice"],
  ["another batch", [facts, result(5)], "batch 5 was not asked for, or twice"],
  ["one of two batches", [facts, result(3)], "1 of 2 batches are missing"],
  ["nothing", [], "2 of 2 batches are missing"],
  ["no facts", [result(3), result(4)], "it does not say what ran it"],
])("an agent that sends %s is told to stop, and refused", async (_, responses, problem) => {
  const { agent, told } = agentThat(responses);
  await expect(run(agent).facts).rejects.toMatchObject({
    code: "chunk_corrupt",
    message: `Agent "a" at 127.0.0.1:1 sent a wrong answer to slice 7: ${problem}`,
  });
  expect(told.toStop).toBe(true);
});

test("answers before a failure stay", async () => {
  const { agent } = agentThat([facts, result(3), result(9)]);
  const attempt = run(agent);
  await expect(attempt.facts).rejects.toThrow("batch 9");
  expect(attempt.outputs).toEqual([3]);
});

test("an answer that cannot be kept stops the agent", async () => {
  const { agent, told } = agentThat([facts, result(3), result(4)], false);
  const full = new AmalgamError("out_of_space", "The disk is full");
  const onOutput = (): void => {
    throw full;
  };
  await expect(run(agent, { onOutput }).facts).rejects.toBe(full);
  expect(told.toStop).toBe(true);
});

test("an agent that says nothing has stalled, and one that is not wanted any more stops", async () => {
  const silent = agentThat([facts], false);
  await expect(run(silent.agent, { stallMs: 20 }).facts).rejects.toMatchObject({ code: "stalled" });
  expect(silent.told.toStop).toBe(true);
  const controller = new AbortController();
  const busy = agentThat([facts], false);
  const attempt = run(busy.agent, { signal: controller.signal });
  controller.abort(new AmalgamError("canceled", "Enough"));
  await expect(attempt.facts).rejects.toMatchObject({ code: "canceled" });
  expect(busy.told.toStop).toBe(true);
});

test("a slice that may take years is not given up at once", async () => {
  const { agent } = agentThat([facts, result(3)], false);
  const attempt = run(agent, { stallMs: 200 }, 1e17);
  await expect(attempt.facts).rejects.toThrow("sent no sign of progress");
});
