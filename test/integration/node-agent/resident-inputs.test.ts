import { setMaxListeners } from "node:events";
import { mkdir, realpath, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Evaluations } from "../../../node-agent/evaluate/evaluations.js";
import { WorkerPool } from "../../../node-agent/pool.js";
import { Ledger } from "../../../node-agent/trials/ledger.js";
import { ResidentInputs } from "../../../node-agent/trials/resident-inputs.js";
import { Scratch } from "../../../node-agent/trials/scratch.js";
import type { TrialContext } from "../../../node-agent/trials/trial-context.js";
import { WaitSigns } from "../../../node-agent/trials/wait-signs.js";
import { AmalgamError } from "../../../shared/errors.js";
import { type MergedModel, MergedModelSchema } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { withTempDir } from "../../support/checkpoints.js";

/** More than may wait for one worker. */
const files = 150;
const numbers = 16;

let folder: Awaited<ReturnType<typeof withTempDir>>;
let model: MergedModel;

beforeAll(async () => {
  folder = await withTempDir();
  const paths = Array.from({ length: files }, (_, i) => join(folder.path, `${i}.bin`));
  for (const [i, path] of paths.entries()) await writeFile(path, new Float32Array(numbers).fill(i));
  await mkdir(join(folder.path, "memory"));
  const sources = await Promise.all(
    paths.map(async (path) => {
      const { size, mtimeMs } = await stat(path);
      return { path: await realpath(path), bytes: BigInt(size), modifiedMs: mtimeMs };
    }),
  );
  const end = BigInt(numbers);
  const pieces = paths.map((_, file) => {
    return { tensor: `t${file}`, shape: [end], end, inputs: [{ file, dtype: "F32" }], outputDtype: "F32" };
  });
  model = create(MergedModelSchema, { sources, pieces });
});
afterAll(() => folder[Symbol.asyncDispose]());

/** What a trial has of an agent with one worker. */
async function agent() {
  const roots = [await realpath(folder.path)];
  const entry = new URL("../../../node-agent/worker.js", import.meta.url);
  const pool = new WorkerPool({ entry, workers: 1, memoryBytes: 64 << 20, roots });
  const settings = { roots, providers: ["cpu"], threads: 1, memoryBytes: 1 } as const;
  const evaluations = new Evaluations({ settings });
  const scratch = new Scratch(join(roots[0] ?? "", "memory"));
  const ended = new AbortController();
  setMaxListeners(0, ended.signal);
  const told = { waiting: 0 };
  const signs = new WaitSigns(() => undefined, 0);
  const queued = (): (() => void) => {
    told.waiting += 1;
    return () => {
      told.waiting -= 1;
    };
  };
  const context: TrialContext = {
    ...{ pool, evaluations, scratch, signal: ended.signal, job: "sweep", fence: 0n, trial: 1 },
    signs: Object.assign(signs, { queued }),
    progress: () => undefined,
  };
  return {
    ...{ pool, context, ended, told, inputs: new ResidentInputs(new Ledger(64 << 20), pool.workers) },
    async [Symbol.asyncDispose]() {
      await pool.close(new AmalgamError("canceled", "over"));
      await evaluations.close(new AmalgamError("canceled", "over"));
      signs[Symbol.dispose]();
      scratch[Symbol.dispose]();
    },
  };
}

test("more files of inputs than may wait for the workers are brought, few at a time", async () => {
  await using one = await agent();
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, one.pool.size);
  }, 1);
  using brought = await one.inputs.bring(model, one.context);
  clearInterval(watch);
  expect(brought.sources).toHaveLength(2 * files);
  expect(brought.pieces.map(({ inputs: [input] }) => (input?.file ?? 0) >= files)).toEqual(Array(files).fill(true));
  expect(most).toBeLessThanOrEqual(2);
  expect(one.told.waiting).toBe(0);
});

test("a trial says that it waits while others have all workers, and can be canceled meanwhile", async () => {
  await using one = await agent();
  const { inputs, context, told, ended } = one;
  const next = new AbortController();
  setMaxListeners(0, next.signal);
  const run = context.pool.run.bind(context.pool);
  const asked: (() => void)[] = [];
  // Nothing of it begins: the workers are busy elsewhere.
  context.pool.run = (request, listener, signal, scratch) =>
    new Promise((resolve, reject) => {
      asked.push(() => void run(request, listener, signal, scratch).then(resolve, reject));
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  const first = inputs.bring(model, context);
  await expect.poll(() => asked.length).toBe(2);
  expect(told.waiting).toBe(files);
  ended.abort(new AmalgamError("canceled", "not wanted"));
  await expect(first).rejects.toThrow("not wanted");
  await expect.poll(() => told.waiting).toBe(0);
  expect(asked).toHaveLength(2);

  context.pool.run = run;
  using brought = await inputs.bring(model, { ...context, signal: next.signal });
  expect(brought.sources).toHaveLength(2 * files);
});
