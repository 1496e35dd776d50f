import { createHash } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { createRequestBuilder } from "../../../coordinator/dispatch/request.js";
import type { Plan } from "../../../coordinator/plan/types.js";
import { cutUnits } from "../../../coordinator/plan/units.js";
import { type AgentOptions, runAgent } from "../../../node-agent/agent.js";
import { formatIndex, indexFileName } from "../../../shared/checkpoint/index-json.js";
import {
  AgentService,
  type BatchResult,
  EvaluationBatchSchema,
  type MergeRequest,
  type TrialTask,
  TrialTaskSchema,
  type TryRequest,
  TryRequestSchema,
  type TryResponse,
} from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { GraphBuilder } from "../../../shared/onnx/graph-builder.js";
import { createClient } from "../../../shared/rpc/client.js";
import { writeAdapter } from "../../support/adapters.js";
import { type TestTensor, withTempDir, writeCheckpoint } from "../../support/checkpoints.js";
import { normals, seeded } from "../../support/random.js";
import { planRecipe } from "../../support/run-plan.js";
import {
  type BatchInit,
  bodyGraph,
  evaluateRequest,
  floatInput,
  headGraph,
  type Init,
  stepGraph,
  textBatch,
  tiny,
  tinyTensors,
} from "../../support/tiny-evaluations.js";

const { vocabulary, width } = tiny;

// A family of tiny language models, recipes for it, and trials of what they make.

/** No graph reads it: it makes weights worth counting. */
const ballast = [512, 256] as const;
export const ballastBytes = 4 * ballast[0] * ballast[1];

const shapes = {
  ...tinyTensors,
  "projection.weight": { shape: [vocabulary, width] },
  ballast: { shape: [...ballast] },
} as const;

/** `base`, `one` and `two`, and the adapter `lora` for `one`, in `folder`. */
export async function writeFamily(folder: string): Promise<void> {
  for (const [variant, name] of ["base", "one", "two"].entries()) {
    const tensors: Record<string, TestTensor> = {};
    for (const [tensor, { shape }] of Object.entries(shapes)) {
      const count = shape.reduce((product, dimension) => product * dimension, 1);
      const base = normals(count, seeded(tensor.length), 0.5);
      const delta = normals(count, seeded(1000 * variant + tensor.length), variant === 0 ? 0 : 0.2);
      tensors[tensor] = { dtype: "F32", shape, values: base.map((x, i) => x + (delta[i] ?? 0)) };
    }
    await writeCheckpoint(join(folder, name), tensors, {
      config: { model_type: "test" },
      shards: variant === 2 ? 2 : 1,
    });
  }
  const factor = (shape: readonly number[], seed: number): TestTensor => {
    return { dtype: "F32", shape, values: normals((shape[0] ?? 0) * (shape[1] ?? 0), seeded(seed), 0.3) };
  };
  const module = "base_model.model.projection";
  const factors = {
    [`${module}.lora_A.weight`]: factor([2, width], 1),
    [`${module}.lora_B.weight`]: factor([vocabulary, 2], 2),
  };
  await writeAdapter(join(folder, "lora"), factors, {
    r: 2,
    lora_alpha: 4,
    target_modules: ["projection"],
    bias: "none",
  });
}

export async function startOne(options: Partial<AgentOptions> = {}) {
  const folder = await withTempDir();
  const memory = await withTempDir();
  await writeFamily(folder.path);
  const agent = await runAgent({
    ...{ roots: [folder.path], slots: 2, trialFolder: memory.path, trialMemoryBytes: 64 << 20, evalThreads: 1 },
    ...options,
  });
  const client = createClient(AgentService, agent.address);
  return {
    agent,
    client,
    folder: folder.path,
    /** Where it holds what trials hold. */
    memory: memory.path,
    async [Symbol.asyncDispose]() {
      client.close();
      await agent.close();
      await folder[Symbol.asyncDispose]();
      await memory[Symbol.asyncDispose]();
    },
  };
}

export type Started = Awaited<ReturnType<typeof startOne>>;

/** Files in the agent's folder in memory, by the first part of their names. */
export function filesIn(memory: string): readonly string[] {
  if (!existsSync(memory)) return [];
  const names = readdirSync(memory).flatMap((own) => readdirSync(join(memory, own)));
  // The socket by which others know that the agent lives is no file.
  return names.filter((name) => name !== ".alive").map((name) => name.split("-")[0] ?? "");
}

export function ties(weight: number, first = "one"): string {
  return `merge_method: ties\nbase_model: base\nmodels: [{model: ${first}, parameters: {weight: ${weight}, density: 0.5}}, {model: two, parameters: {weight: 1, density: 0.5}}]\n`;
}

export const taskArithmetic = (weight: number, first = "one"): string =>
  `merge_method: task_arithmetic\nbase_model: base\nmodels: [{model: ${first}, parameters: {weight: ${weight}}}, {model: two, parameters: {weight: 0.5}}]\n`;

let recipes = 0;

export async function planText(folder: string, text: string, shardBytes?: number): Promise<Plan> {
  recipes += 1;
  const file = join(folder, `recipe-${recipes}.yaml`);
  await writeFile(file, text);
  return planRecipe(file, shardBytes === undefined ? {} : { shardBytes });
}

function wholeModel(plan: Plan, paths: readonly string[]): MergeRequest {
  const [unit] = cutUnits(plan, { unitBytes: 1e12 });
  if (unit === undefined) throw new Error("A plan without a unit");
  return createRequestBuilder(plan, "sweep")(unit, { epoch: 1, task: { kind: "write", paths } }).message;
}

/** What tasks are run on: blobs and, by their digests, the tasks. */
export interface TrialTasks {
  readonly blobs: readonly Uint8Array[];
  readonly tasks: readonly TrialTask[];
  /** The same for checkpoints on disk. */
  readonly evaluations: readonly { readonly graphs: Readonly<Record<string, Uint8Array>>; readonly request: Init }[];
}

const sha256 = (bytes: Uint8Array): Uint8Array => Uint8Array.from(createHash("sha256").update(bytes).digest());

export function trialTasks(
  list: readonly {
    readonly graphs: Readonly<Record<string, Uint8Array>>;
    readonly batches: readonly BatchInit[];
    readonly measure: NonNullable<Init["measure"]>;
    readonly cache?: { readonly heads: number; readonly width: number }[];
  }[],
): TrialTasks {
  const blobs: Uint8Array[] = [];
  const digest = (bytes: Uint8Array): Uint8Array => {
    blobs.push(bytes);
    return sha256(bytes);
  };
  const tasks = list.map(({ graphs, batches, measure, cache = [] }, i) =>
    create(TrialTaskSchema, {
      task: 10 + i,
      graphs: Object.entries(graphs).map(([role, model]) => ({ role, model: digest(model) })),
      batches: batches.map((batch) => digest(toBinary(EvaluationBatchSchema, create(EvaluationBatchSchema, batch)))),
      measure,
      cache,
    }),
  );
  const evaluations = list.map(({ graphs, batches, measure }) => {
    return { graphs, request: { measure, batches: [...batches], threads: 1 } };
  });
  return { blobs, tasks, evaluations };
}

/** With the weight that the adapter changes. */
function projectionGraph(): Uint8Array {
  const g = new GraphBuilder("projection");
  const x = g.input("x", "FLOAT", ["batch", width]);
  const y = g.op("Gemm", [x, g.weight("projection.weight", [vocabulary, width])], { transB: 1 });
  g.output("y", y, "FLOAT", ["batch", vocabulary]);
  return g.build().model;
}

/** Two tasks that share a graph, one of vectors and one of likelihoods, and one more of vectors. */
export function usualTasks(): TrialTasks {
  const body = bodyGraph();
  return trialTasks([
    {
      graphs: { body },
      measure: { case: "vectors", value: { graph: "body" } },
      batches: [textBatch(0, [[1, 2, 3], [4]]), textBatch(1, [[5, 6]])],
    },
    {
      graphs: { body, head: headGraph() },
      measure: { case: "likelihood", value: {} },
      batches: [textBatch(4, [[1, 2, 3]], { more: { rows: [0, 1], targets: [2, 3] } })],
    },
    {
      graphs: { image: projectionGraph() },
      measure: { case: "vectors", value: { graph: "image" } },
      batches: [{ batch: 2, inputs: [floatInput("x", [1, width], [1, -2, 3, -4, 5, -6, 7, -8])] }],
    },
  ]);
}

/** Goes on until it is stopped, for minutes. */
export function endlessTasks(): TrialTasks {
  return trialTasks([
    {
      graphs: { step: stepGraph(), head: headGraph() },
      measure: { case: "generation", value: { maxNewTokens: 30_000 } },
      batches: [textBatch(0, [[1]])],
      cache: [{ heads: 1, width }],
    },
  ]);
}

export function tryRequest(
  plan: Plan,
  { tasks }: TrialTasks,
  changes: { trial?: number; fence?: bigint } = {},
): TryRequest {
  const { trial = 7, fence = 0n } = changes;
  const message = wholeModel(
    plan,
    plan.files.map(({ name }) => name),
  );
  const { sources, programs, pieces, seed, task } = message;
  const names = task.case === "writeFiles" ? task.value.paths : [];
  return create(TryRequestSchema, {
    leadership: { job: "sweep", fence },
    trial,
    model: {
      digest: sha256(Buffer.from(plan.digest)),
      ...{ sources, programs, pieces, seed },
      files: names.flatMap((name) => {
        const file = plan.files.find((each) => each.name === name);
        return file === undefined ? [] : [{ name, header: Uint8Array.from(file.header), bytes: BigInt(file.bytes) }];
      }),
    },
    tasks: [...tasks],
    threads: 1,
  });
}

export function resultsIn(responses: readonly TryResponse[]): Record<string, unknown> {
  return Object.fromEntries(
    responses.flatMap(({ event }) => {
      if (event.case !== "result" || event.value.result === undefined) return [];
      const { task, result } = event.value;
      return [[`${task}.${result.batch}`, withoutSeconds(result)]];
    }),
  );
}

function withoutSeconds({ vectors, width, logprobs, greedy, generated }: BatchResult) {
  return { vectors: [...vectors], width, logprobs, greedy, generated: generated.map(({ tokens }) => tokens) };
}

export function factsIn(responses: readonly TryResponse[]) {
  const all = responses.flatMap(({ event }) => (event.case === "facts" ? [event.value] : []));
  if (all.length !== 1 || all[0] === undefined) throw new Error(`Facts came ${all.length} times`);
  return all[0];
}

export function receiptsIn(responses: readonly TryResponse[]) {
  return responses
    .flatMap(({ event }) => (event.case === "receipt" ? [event.value] : []))
    .toSorted((left, right) => left.piece - right.piece);
}

/** The same by way of a checkpoint on disk, which the agent writes and then evaluates. */
export async function resultsFromDisk(
  { client, folder }: Started,
  plan: Plan,
  { evaluations, tasks }: TrialTasks,
): Promise<Record<string, unknown>> {
  const path = join(folder, plan.digest);
  await mkdir(path);
  const paths = plan.files.map(({ name }) => join(path, name));
  for (const [i, { header, bytes }] of plan.files.entries()) {
    await writeFile(paths[i] ?? "", Buffer.concat([header, Buffer.alloc(bytes - header.length)]));
  }
  if (paths.length > 1) {
    const index = plan.tensors.map(({ name, file }) => [name, plan.files[file]?.name ?? ""] as const);
    await writeFile(join(path, indexFileName), formatIndex(new Map(index), 0));
  }
  for await (const _ of client.merge(wholeModel(plan, paths))) void _;
  const results: [string, unknown][] = [];
  for (const [i, { graphs, request }] of evaluations.entries()) {
    for await (const { event } of client.evaluate(await evaluateRequest(path, graphs, request))) {
      if (event.case !== "result") continue;
      results.push([`${tasks[i]?.task}.${event.value.batch}`, withoutSeconds(event.value)]);
    }
  }
  return Object.fromEntries(results);
}
