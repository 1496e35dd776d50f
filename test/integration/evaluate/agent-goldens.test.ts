import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { decoderFamilies } from "../../../coordinator/graphs/decoder/families.js";
import { t5Families } from "../../../coordinator/graphs/t5/families.js";
import type { ModelGraphs } from "../../../coordinator/graphs/types.js";
import { Evaluations } from "../../../node-agent/evaluate/evaluations.js";
import type { SliceEvent } from "../../../node-agent/evaluate/process/protocol.js";
import { AmalgamError } from "../../../shared/errors.js";
import type { EvaluateRequest } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { withTempDir, writeCheckpoint } from "../../support/checkpoints.js";
import { madeWeights } from "../../support/made-weights.js";
import { repositoryPath } from "../../support/repository.js";
import { evaluateRequest, whole } from "../../support/tiny-evaluations.js";

// What an agent's process answers for models as they are built from config.json, against transformers: see decoders.py
// and t5.py beside the goldens.

type Rows = readonly (readonly number[])[];
type Shapes = Readonly<Record<string, readonly number[]>>;
type Result = Extract<SliceEvent, { type: "result" }>["result"];

interface DecoderCase {
  readonly config: { readonly model_type: string };
  readonly weights: Shapes;
  readonly input_ids: Rows;
  readonly attention_mask: Rows;
  readonly logprobs?: readonly number[];
  readonly best?: readonly number[];
  readonly generated?: Rows;
}

interface T5Golden {
  readonly family: string;
  readonly config: unknown;
  readonly shapes: Shapes;
  readonly batches: Readonly<
    Record<string, { readonly inputs: Readonly<Record<string, Rows>>; readonly generated: Rows }>
  >;
}

let folder: Awaited<ReturnType<typeof withTempDir>>;
let evaluations: Evaluations;

beforeAll(async () => {
  folder = await withTempDir();
  const settings = { roots: [folder.path], providers: ["cpu"], threads: undefined, memoryBytes: undefined } as const;
  evaluations = new Evaluations({ settings });
});

afterAll(async () => {
  await evaluations.close(new AmalgamError("canceled", "The tests are over"));
  await folder[Symbol.asyncDispose]();
});

async function resultOf(request: EvaluateRequest): Promise<Result | undefined> {
  let result: Result | undefined;
  const onEvent = (event: SliceEvent, taken: () => void): void => {
    if (event.type === "result") result = event.result;
    taken();
  };
  await evaluations.run(request, { onEvent }, new AbortController().signal);
  return result;
}

function read<T>(path: string): T {
  return JSON.parse(readFileSync(repositoryPath("test", "conformance", "graphs", path), "utf8")) as T;
}

function requestOf(config: unknown, weights: Shapes) {
  const tensors = new Map(Object.entries(weights).map(([name, shape]) => [name, { shape, dtype: "F32" }]));
  return { config, configFile: "config.json", tensors, generates: true };
}

function graphsOf({ graphs }: ModelGraphs): Record<string, Uint8Array> {
  return Object.fromEntries(Object.entries(graphs).map(([role, { model }]) => [role, model]));
}

function cacheOf({ cache = [] }: ModelGraphs) {
  return { cache: cache.map(({ heads, width }) => ({ heads, width })) };
}

test.each(["llama", "gemma2", "qwen3"])(
  "an agent continues and scores texts as transformers does, %s",
  async (name) => {
    const { cases } = read<{ cases: readonly DecoderCase[] }>(`decoders/${name}.json`);
    const golden = cases.find(({ generated, logprobs }) => generated !== undefined && logprobs !== undefined);
    const build = decoderFamilies[golden?.config.model_type ?? ""];
    if (golden === undefined || build === undefined) throw new Error(`There is no such golden of ${name}`);
    const path = await writeCheckpoint(`${folder.path}/${name}`, madeWeights(golden.weights));
    const model = build(requestOf(golden.config, golden.weights));
    const { input_ids, attention_mask, generated } = golden;
    const inputs = [whole("input_ids", input_ids), whole("attention_mask", attention_mask)];

    const measure = { case: "generation", value: { maxNewTokens: generated?.[0]?.length ?? 0 } } as const;
    const request = await evaluateRequest(path, graphsOf(model), { measure, batches: [{ inputs }] }, cacheOf(model));
    expect((await resultOf(request))?.generated?.map(({ tokens }) => tokens)).toEqual(generated);

    const places = attention_mask.flatMap((mask, row) =>
      mask.flatMap((isToken, slot) => {
        const target = input_ids[row]?.[slot + 1];
        const isScored = isToken === 1 && mask[slot + 1] === 1 && target !== undefined;
        return isScored ? [{ row: row * mask.length + slot, target }] : [];
      }),
    );
    const more = { rows: places.map(({ row }) => row), targets: places.map(({ target }) => target) };
    const likelihood = { case: "likelihood", value: {} } as const;
    const batches = [{ inputs, ...more }];
    const scored = await resultOf(await evaluateRequest(path, graphsOf(model), { measure: likelihood, batches }));
    expect(scored?.logprobs).toHaveLength(golden.logprobs?.length ?? -1);
    for (const [i, logprob] of (golden.logprobs ?? []).entries()) expect(scored?.logprobs?.[i]).toBeCloseTo(logprob, 4);
    expect(scored?.greedy).toEqual(more.targets.map((target, i) => golden.best?.[i] === target));
  },
);

test.each(["t5", "t5-v1.1"])("an agent continues texts as transformers does, %s", async (name) => {
  const golden = read<T5Golden>(`t5/${name}.json`);
  const build = t5Families[golden.family];
  if (build === undefined) throw new Error(`There is no family ${golden.family}`);
  const path = await writeCheckpoint(`${folder.path}/${name}`, madeWeights(golden.shapes));
  const model = build(requestOf(golden.config, golden.shapes));
  for (const { inputs, generated } of Object.values(golden.batches)) {
    const batch = { inputs: ["input_ids", "attention_mask"].map((input) => whole(input, inputs[input] ?? [])) };
    const { decoderStart = 0 } = model;
    const measure = { case: "generation", value: { maxNewTokens: generated[0]?.length ?? 0, decoderStart } } as const;
    const request = await evaluateRequest(path, graphsOf(model), { measure, batches: [batch] }, cacheOf(model));
    expect((await resultOf(request))?.generated?.map(({ tokens }) => tokens)).toEqual(generated);
  }
});
