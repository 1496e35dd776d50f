import { cpSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createRequestBuilder, type UnitTask } from "../../../coordinator/dispatch/request.js";
import type { Plan } from "../../../coordinator/plan/types.js";
import { cutUnits } from "../../../coordinator/plan/units.js";
import { AmalgamError } from "../../../shared/errors.js";
import { FileState, type MergeRequest, type SourceFile } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import type { Refusal } from "../../../shared/rpc/tls/server-credentials.js";
import { withTempDir } from "../../support/checkpoints.js";
import { bodyGraph, evaluateRequest, textBatch } from "../../support/tiny-evaluations.js";
import {
  planText,
  type Started,
  startOne,
  taskArithmetic,
  tryRequest,
  usualTasks,
} from "../node-agent/trials-parts.js";

// Every path that a request can name, pointed at a file outside the agent's roots that is sound otherwise, in every way there
// is to point.

const refusals: Refusal[] = [];

async function startWork() {
  const started = await startOne({ onRefused: (refusal) => void refusals.push(refusal) });
  const outside = await withTempDir();
  for (const name of ["base", "one", "two"])
    cpSync(join(started.folder, name), join(outside.path, name), { recursive: true });
  symlinkSync(join(outside.path, "one"), join(started.folder, "linked"));
  symlinkSync(join(outside.path, "one/model.safetensors"), join(started.folder, "linked.safetensors"));
  writeFileSync(join(outside.path, "probe"), "token");
  symlinkSync(join(outside.path, "probe"), join(started.folder, "linked-probe"));
  return {
    ...started,
    outside: outside.path,
    plan: await planText(started.folder, taskArithmetic(0.5)),
    tasks: usualTasks(),
    async [Symbol.asyncDispose]() {
      await started[Symbol.asyncDispose]();
      await outside[Symbol.asyncDispose]();
    },
  };
}

type Work = Awaited<ReturnType<typeof startWork>>;

const work = startWork();
beforeAll(() => work);
afterAll(async () => (await work)[Symbol.asyncDispose]());

/** The ways to say where a file outside is. `file`: below the folder outside. */
const ways: Readonly<Record<string, (work: Work, file: string) => string>> = {
  "as it is": ({ outside }, file) => join(outside, file),
  "by way of the root": ({ folder, outside }, file) => `${folder}/../../../../../../..${outside}/${file}`,
  "through a link to its folder": ({ folder }) => join(folder, "linked/model.safetensors"),
  "through a link to it": ({ folder }, file) => join(folder, file === "probe" ? "linked-probe" : "linked.safetensors"),
  "from where the agent stands": ({ outside }, file) => `${"../".repeat(20)}${outside.slice(1)}/${file}`,
  "with a NUL behind the root": ({ folder, outside }, file) => `${folder}\0/../..${outside}/${file}`,
  "as a file: URL": ({ outside }, file) => `file://${outside}/${file}`,
  "on a server": (_, file) => `https://127.0.0.1:1/${file}`,
};

const one = "one/model.safetensors";

/** Reads a stream to its end. */
async function drain<T>(responses: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const response of responses) all.push(response);
  return all;
}

function mergeOf(plan: Plan, task: UnitTask): MergeRequest {
  const [unit] = cutUnits(plan, { unitBytes: 1e12 });
  if (unit === undefined) throw new Error("A plan without a unit");
  return createRequestBuilder(plan, "job")(unit, { epoch: 1, task }).message;
}

function given<T>(model: T | undefined): T {
  if (model === undefined) throw new Error("A request without a model");
  return model;
}

/** The file of the model "one", said to be elsewhere. */
function moved(sources: readonly SourceFile[], path: string): SourceFile[] {
  return sources.map((source) => (source.path.endsWith(one) ? { ...source, path } : source));
}

/** The fields of requests that are paths, and a call with one of them changed. */
const fields: Readonly<Record<string, (work: Work, path: string) => Promise<unknown>>> = {
  "Merge.sources": ({ client, plan }, path) => {
    const request = mergeOf(plan, { kind: "stream", chunkBytes: 100_000 });
    return drain(client.merge({ ...request, sources: moved(request.sources, path) }));
  },
  "Merge.write_files": ({ client, plan }, path) => {
    return drain(client.merge(mergeOf(plan, { kind: "write", paths: plan.files.map(() => path) })));
  },
  "Factorize.sources": ({ client, plan }, path) => {
    const { sources } = mergeOf(plan, { kind: "stream", chunkBytes: 100_000 });
    const file = sources.findIndex((source) => source.path.endsWith(one));
    const matrix = { file, offset: 4_096n, dtype: "F32" };
    const shape = { rows: 4n, columns: 4n, rank: 1, chunkBytes: 1_000 };
    return drain(client.factorize({ tensor: "w", sources: moved(sources, path), matrix, ...shape }));
  },
  "Evaluate.model.checkpoint": async (work, path) => {
    const request = await evaluation(work);
    return drain(work.client.evaluate({ ...request, model: { ...given(request.model), checkpoint: dirname(path) } }));
  },
  "Evaluate.model.sources": async (work, path) => {
    const request = await evaluation(work);
    const model = given(request.model);
    return drain(work.client.evaluate({ ...request, model: { ...model, sources: moved(model.sources, path) } }));
  },
  "Try.model.sources": async ({ client, plan, tasks }, path) => {
    await client.keep({ blobs: [...tasks.blobs] });
    const request = tryRequest(plan, tasks);
    const model = given(request.model);
    // Of another name, lest the agent have the merged weights already.
    const digest = new Uint8Array(32).fill(path.length);
    return drain(client.try({ ...request, model: { ...model, sources: moved(model.sources, path), digest } }));
  },
  "List.path": ({ client }, path) => client.list({ path }),
  "Read.file": ({ client, plan }, path) => {
    const source = plan.sources.find((each) => each.path.endsWith(one));
    const file = { path, bytes: BigInt(source?.bytes ?? 0), modifiedMs: source?.modifiedMs ?? 0 };
    return drain(client.read({ file, offset: 0n, length: 100n }));
  },
};

async function evaluation({ folder }: Started) {
  const measure = { case: "vectors", value: { graph: "body" } } as const;
  return evaluateRequest(join(folder, "one"), { body: bodyGraph() }, { measure, batches: [textBatch(0, [[1, 2]])] });
}

const cases = Object.keys(fields).flatMap((field) => Object.keys(ways).map((way) => ({ field, way })));

test.each(cases)("a file outside the roots, named $way in $field, is refused and told of", async ({ field, way }) => {
  const all = await work;
  const before = readFileSync(join(all.outside, one));
  const path = ways[way]?.(all, one) ?? "";
  refusals.length = 0;
  const refused = fields[field]?.(all, path).then(
    (answer) => Promise.reject(new Error("It was answered", { cause: answer })),
    (reason: unknown) => reason,
  );
  const error = await refused;
  if (!(error instanceof AmalgamError)) throw error;
  expect(["path_refused", "usage", "source_refused"]).toContain(error.code);
  expect(error.message).not.toMatch(/\p{C}/u);
  if (error.code !== "usage") {
    const method = `/amalgam.v1.AgentService/${field.split(".")[0]}`;
    await expect.poll(() => refusals).toContainEqual(expect.objectContaining({ method, reason: expect.any(String) }));
  }
  expect(readFileSync(join(all.outside, one)).equals(before)).toBe(true);
  expect(readdirSync(all.outside).toSorted()).toEqual(["base", "one", "probe", "two"]);
});

test.each(Object.keys(ways))("what lies outside the roots, named %s, is not there for Locate", async (way) => {
  const all = await work;
  const source = all.plan.sources.find((each) => each.path.endsWith(one));
  const path = ways[way]?.(all, one) ?? "";
  const files = [{ path, bytes: BigInt(source?.bytes ?? 0), modifiedMs: source?.modifiedMs ?? 0 }];
  const probe = { path: ways[way]?.(all, "probe") ?? "", token: "token" };
  const { files: states, sharesOutput } = await all.client.locate({ files, probe });
  expect(states).not.toContain(FileState.PRESENT);
  expect(sharesOutput).toBe(false);
});

test("a unit that is sent again writes the same bytes again, and one of an earlier leader nothing", async () => {
  const { client, plan, folder } = await work;
  const paths = plan.files.map(({ name }) => join(folder, `replayed-${name}`));
  for (const [i, path] of paths.entries()) writeFileSync(path, new Uint8Array(plan.files[i]?.bytes ?? 0));
  const request = { ...mergeOf(plan, { kind: "write", paths }), fence: 5n };
  const bytesNow = (): readonly Buffer[] => paths.map((path) => readFileSync(path));
  await drain(client.merge(request));
  const once = bytesNow();
  await Promise.all([drain(client.merge(request)), drain(client.merge(request))]);
  expect(bytesNow()).toEqual(once);
  // The next leader has been heard, and what the last one said comes again.
  await client.describe({ leadership: { job: request.job, fence: 6n } });
  for (const path of paths) writeFileSync(path, "the next leader's");
  await expect(drain(client.merge(request))).rejects.toMatchObject({ code: "fenced" });
  expect(bytesNow().map(String)).toEqual(paths.map(() => "the next leader's"));
});
