import { afterAll, beforeAll, expect, test } from "vitest";
import { Evaluations } from "../../../node-agent/evaluate/evaluations.js";
import type { ProcessSettings, SliceEvent } from "../../../node-agent/evaluate/process/protocol.js";
import { AmalgamError } from "../../../shared/errors.js";
import type { EvaluateRequest } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { GraphBuilder } from "../../../shared/onnx/graph-builder.js";
import { randomTensor, randomValues, withTempDir, writeCheckpoint } from "../../support/checkpoints.js";
import {
  bodyGraph,
  encoderGraph,
  evaluateRequest,
  floatInput,
  headGraph,
  logitsGraph,
  stepGraph,
  textBatch,
  tiny,
  tinyContinuation,
  tinyLogprobs,
  whole,
  writeTiny,
} from "../../support/tiny-evaluations.js";

// What a process that runs models computes, against the same in plain TypeScript. One process runs most of it.

type Result = Extract<SliceEvent, { type: "result" }>["result"];

let folder: Awaited<ReturnType<typeof withTempDir>>;
let evaluations: Evaluations;
let path: string;

function start(settings: Partial<ProcessSettings> = {}): Evaluations {
  const defaults = { roots: [folder.path], providers: ["cpu"], threads: undefined, memoryBytes: undefined } as const;
  return new Evaluations({ settings: { ...defaults, ...settings } });
}

beforeAll(async () => {
  folder = await withTempDir();
  evaluations = start();
  path = await writeTiny(folder.path);
});

afterAll(async () => {
  await evaluations.close(new AmalgamError("canceled", "The tests are over"));
  await folder[Symbol.asyncDispose]();
});

async function resultsOf(request: EvaluateRequest, by = evaluations): Promise<readonly Result[]> {
  const results: Result[] = [];
  const onEvent = (event: SliceEvent, taken: () => void): void => {
    if (event.type === "result") results.push(event.result);
    taken();
  };
  await by.run(request, { onEvent }, new AbortController().signal);
  return results;
}

function floatsOf(result: Result | undefined): Float32Array {
  return new Float32Array(new Uint8Array(result?.vectors ?? []).buffer);
}

const texts = [[3, 1, 4, 1, 5], [9, 2], [6]];

test.each(["left", "right"] as const)("a likelihood is that of the targets, with padding on the %s", async (side) => {
  const time = 5;
  const wanted = texts.flatMap((text, example) =>
    text.slice(1).map((target, i) => {
      const at = side === "left" ? time - text.length + i : i;
      const logprobs = tinyLogprobs(text.slice(0, i + 1));
      const greedy = logprobs[target] === Math.max(...logprobs);
      return { row: example * time + at, target, logprob: logprobs[target] ?? Number.NaN, greedy };
    }),
  );
  const best = tinyContinuation([6], 1)[0] ?? 0;
  const last = side === "left" ? 3 * time - 1 : 2 * time;
  wanted.push({ row: last, target: best, logprob: tinyLogprobs([6])[best] ?? 0, greedy: true });
  const more = { rows: wanted.map(({ row }) => row), targets: wanted.map(({ target }) => target) };
  const batch = textBatch(7, texts, { side, more });
  const graphs = { body: bodyGraph(), head: headGraph() };
  const measure = { case: "likelihood", value: {} } as const;
  const [result] = await resultsOf(await evaluateRequest(path, graphs, { measure, batches: [batch] }));
  expect(result?.batch).toBe(7);
  expect(result?.greedy).toEqual(wanted.map(({ greedy }) => greedy));
  expect(result?.logprobs).toHaveLength(wanted.length);
  for (const [i, { logprob }] of wanted.entries()) expect(result?.logprobs?.[i]).toBeCloseTo(logprob, 5);
});

test("a likelihood by a graph that ends in logits, and wants positions, is the same", async () => {
  const text = [3, 1, 4, 1, 5];
  const more = { rows: [0, 1, 2, 3], targets: text.slice(1) };
  const batch = textBatch(0, [text], { more });
  const measure = { case: "likelihood", value: {} } as const;
  const [result] = await resultsOf(await evaluateRequest(path, { body: logitsGraph() }, { measure, batches: [batch] }));
  for (const [i, target] of more.targets.entries()) {
    expect(result?.logprobs?.[i]).toBeCloseTo(tinyLogprobs(text.slice(0, i + 1))[target] ?? 0, 5);
  }
});

test("a head of a large vocabulary takes its rows in chunks", async () => {
  const [vocabulary, width, rows] = [2 ** 20, 2, 37];
  const head = randomValues(5, vocabulary * width, 1);
  const large = await writeCheckpoint(`${folder.path}/large`, {
    head: { dtype: "F32", shape: [vocabulary, width], values: head },
  });
  const g = new GraphBuilder("head");
  const hidden = g.input("hidden", "FLOAT", ["rows", width]);
  const targets = g.input("targets", "INT64", ["rows"]);
  const logits = g.op("Gemm", [hidden, g.weight("head", [vocabulary, width])], { transB: 1 });
  const found = g.op("GatherElements", [logits, g.op("Unsqueeze", [targets, g.constant("INT64", [1])])], { axis: 1 });
  g.output("logprobs", g.op("Squeeze", [found, g.constant("INT64", [1])]), "FLOAT", ["rows"]);
  g.output("best", g.op("ArgMax", [logits], { axis: 1, keepdims: 0 }), "INT64", ["rows"]);
  const b = new GraphBuilder("body");
  b.output("hidden", b.input("x", "FLOAT", ["batch", "time", width]), "FLOAT", ["batch", "time", width]);
  const states = randomValues(6, rows * width, 1);
  const order = Array.from({ length: rows }, (_, i) => rows - 1 - i);
  const tokens = order.map((row) => (row * 27_644_437) % vocabulary);
  const input = floatInput("x", [1, rows, width], [...states]);
  const request = await evaluateRequest(
    large,
    { body: b.build().model, head: g.build().model },
    { measure: { case: "likelihood", value: {} }, batches: [{ inputs: [input], rows: order, targets: tokens }] },
  );
  const [result] = await resultsOf(request);
  for (const [i, row] of order.entries()) {
    const token = tokens[i] ?? 0;
    const [x = 0, y = 0] = states.subarray(row * width);
    expect(result?.logprobs?.[i]).toBeCloseTo(x * (head[token * 2] ?? 0) + y * (head[token * 2 + 1] ?? 0), 5);
  }
});

const generation = { case: "generation", value: { maxNewTokens: 12, stop: [] as number[] } } as const;
const cache = [{ heads: 1, width: tiny.width }];

test("a step with a cache continues every text as it would alone", async () => {
  const graphs = { step: stepGraph(), head: headGraph() };
  const request = { measure: generation, batches: [textBatch(0, texts)] };
  const [result] = await resultsOf(await evaluateRequest(path, graphs, request, { cache }));
  expect(result?.generated?.map(({ tokens }) => tokens)).toEqual(texts.map((text) => tinyContinuation(text, 12)));
});

test("a stop token ends one text and not the others", async () => {
  const stop = [tinyContinuation(texts[0] ?? [], 3)[2] ?? 0];
  const graphs = { step: stepGraph(), head: headGraph() };
  const measure = { case: "generation", value: { maxNewTokens: 12, stop } } as const;
  const request = await evaluateRequest(path, graphs, { measure, batches: [textBatch(0, texts)] }, { cache });
  const [result] = await resultsOf(request);
  const wanted = texts.map((text) => tinyContinuation(text, 12, { stop }));
  expect(wanted[0]?.length).toBeLessThan(3);
  expect(result?.generated?.map(({ tokens }) => tokens)).toEqual(wanted);
});

test.each([
  ["a body and its head", { body: bodyGraph(), head: headGraph() }, texts],
  ["a graph that ends in logits", { body: logitsGraph() }, [[3, 1, 4]]],
])("without a step, %s runs the whole text for every token", async (_, graphs, prompts) => {
  const request = await evaluateRequest(path, graphs, { measure: generation, batches: [textBatch(0, prompts)] });
  const [result] = await resultsOf(request);
  expect(result?.generated?.map(({ tokens }) => tokens)).toEqual(prompts.map((text) => tinyContinuation(text, 12)));
});

test("with an encoder, a text of its own begins with the decoder's first token", async () => {
  const graphs = { encoder: encoderGraph(), step: stepGraph({ hasEncoder: true }), head: headGraph() };
  const measure = { case: "generation", value: { maxNewTokens: 9, decoderStart: 2 } } as const;
  const batch = textBatch(0, texts, { side: "right" });
  const [result] = await resultsOf(await evaluateRequest(path, graphs, { measure, batches: [batch] }, { cache }));
  const wanted = texts.map((source) => tinyContinuation([2], 9, { source }));
  expect(result?.generated?.map(({ tokens }) => tokens)).toEqual(wanted);
});

test("bytes of an image are scaled and shifted by channel, and any output can be asked for", async () => {
  const g = new GraphBuilder("image");
  const pixels = g.input("pixel_values", "FLOAT", ["batch", 2, 1, 3]);
  g.output("first", g.op("ReduceSum", [pixels, g.constant("INT64", [1, 2, 3])], { keepdims: 0 }), "FLOAT", ["batch"]);
  g.output("same", pixels, "FLOAT", ["batch", 2, 1, 3]);
  const data = Uint8Array.of(0, 1, 2, 3, 4, 5, 250, 251, 252, 253, 254, 255);
  const input = { name: "pixel_values", dtype: "U8", shape: [2, 2, 1, 3], data, scale: [0.5, 2], shift: [-1, 10] };
  const wanted = Array.from(data, (x, i) => (Math.floor(i / 3) % 2 === 0 ? 0.5 * x - 1 : 2 * x + 10));
  const ask = async (output: string): Promise<Result | undefined> => {
    const measure = { case: "vectors", value: { graph: "image", output } } as const;
    const graphs = { image: g.build().model };
    return (await resultsOf(await evaluateRequest(path, graphs, { measure, batches: [{ inputs: [input] }] })))[0];
  };
  const same = await ask("same");
  expect(same?.width).toBe(6);
  expect([...floatsOf(same)]).toEqual(wanted);
  const first = await ask("");
  expect(first?.width).toBe(1);
  expect(floatsOf(first)[1]).toBeCloseTo(wanted.slice(6).reduce((sum, x) => sum + x, 0));
});

test("outputs that are no numbers are handed on", async () => {
  const g = new GraphBuilder("nan");
  g.output("y", g.op("Log", [g.input("x", "FLOAT", ["batch"])]), "FLOAT", ["batch"]);
  const measure = { case: "vectors", value: { graph: "body" } } as const;
  const batches = [{ inputs: [floatInput("x", [3], [-1, 0, 1])] }];
  const [result] = await resultsOf(await evaluateRequest(path, { body: g.build().model }, { measure, batches }));
  expect([...floatsOf(result)]).toEqual([Number.NaN, Number.NEGATIVE_INFINITY, 0]);
});

/** ONNX Runtime adds this up in another order for each number of threads, on processors that have been tried. */
function wideSums(depth: number, width: number): Uint8Array {
  const g = new GraphBuilder("sums");
  const x = g.input("x", "FLOAT", ["batch", depth]);
  g.output("y", g.op("Gemm", [x, g.weight("w", [width, depth])], { transB: 1 }), "FLOAT", ["batch", width]);
  return g.build().model;
}

test.each(["F32", "BF16"] as const)(
  "a request's threads decide the bits from %s, whatever an agent's own",
  async (dtype) => {
    const [depth, width, rows] = [2048, 256, 8];
    const weights = { w: randomTensor(1, [width, depth], dtype) };
    const model = await writeCheckpoint(`${folder.path}/sums-${dtype}`, weights);
    const measure = { case: "vectors", value: { graph: "body" } } as const;
    const batches = [{ inputs: [floatInput("x", [rows, depth], [...randomValues(9, rows * depth, 1)])] }];
    const request = await evaluateRequest(model, { body: wideSums(depth, width) }, { measure, batches });
    const found: Float32Array[] = [];
    for (const threads of [1, 4]) {
      const other = start({ threads });
      found.push(floatsOf((await resultsOf({ ...request, threads: 4 }, other))[0]));
      await other.close(new AmalgamError("canceled", "Done"));
    }
    expect(found[0]?.some((x) => x !== 0)).toBe(true);
    expect(found[0]).toEqual(found[1]);
  },
);

test.each([
  [
    "an input that the graph lacks",
    [...(textBatch(0, texts).inputs ?? []), whole("labels", [[1], [1], [1]])],
    '"labels"',
  ],
  ["no input that it wants", [floatInput("x", [1, 2], [0, 0])], '"input_ids"'],
  ["numbers of another kind", [floatInput("input_ids", [1, 2], [0, 0])], "F32, the graph wants int64"],
  ["too few dimensions", [whole("input_ids", [[1]])].map((input) => ({ ...input, shape: [1] })), "the graph wants ["],
  ["a token that the vocabulary lacks", [whole("input_ids", [[99]])], "indices element out of data bounds"],
])("a batch with %s is refused, and the next is run", async (_, inputs, problem) => {
  const measure = { case: "vectors", value: { graph: "body" } } as const;
  const request = await evaluateRequest(path, { body: bodyGraph() }, { measure, batches: [{ inputs }] });
  await expect(resultsOf(request)).rejects.toMatchObject({
    code: "checkpoint_mismatch",
    message: expect.stringContaining(problem),
  });
  const next = await evaluateRequest(path, { body: bodyGraph() }, { measure, batches: [textBatch(0, texts)] });
  expect(await resultsOf(next)).toHaveLength(1);
});
