import { utimes } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EvaluationPlacement } from "../../../../coordinator/evaluate/placement.js";
import { Subject } from "../../../../coordinator/evaluate/subject.js";
import type { JobAgent } from "../../../../coordinator/job/job-agents.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { randomTensor, withTempDir, writeCheckpoint } from "../../../support/checkpoints.js";

let folder: Awaited<ReturnType<typeof withTempDir>>;
let subjects: readonly Subject[];

beforeAll(async () => {
  folder = await withTempDir();
  const write = async (name: string, shards: number): Promise<Subject> => {
    const tensors = { a: randomTensor(1, [4, 4]), b: randomTensor(2, [4]) };
    const path = await writeCheckpoint(join(folder.path, name), tensors, { shards });
    return Subject.open({ name, path, role: "model" });
  };
  subjects = [await write("first", 2), await write("second", 1)];
});
afterAll(() => folder[Symbol.asyncDispose]());

/** Files are numbered over all models: 0 and 1 are the first one's, 2 the second's. */
function agent(address: string, files?: readonly number[], providers = ["cpu"]): JobAgent {
  const sight = files === undefined ? undefined : { has: (file: number) => files.includes(file) };
  return { address, sight, state: "ready", description: { providers } } as unknown as JobAgent;
}

const slice = (model: number) => ({
  ...{ id: 0, model, task: 0, batches: [0], bytesRead: 1, bytesWritten: 0 },
  measure: { kind: "likelihood" } as const,
});

test("an agent runs the models whose files it sees, all of them", () => {
  const placement = new EvaluationPlacement(subjects);
  expect([0, 1].map((model) => placement.refuses(slice(model), agent("all", [0, 1, 2])))).toEqual([
    undefined,
    undefined,
  ]);
  const file = join(folder.path, "first", "model-00002-of-00002.safetensors");
  expect(placement.refuses(slice(0), agent("some", [0, 2]))).toBe(
    `it cannot read "${file}", or has another file there`,
  );
  expect(placement.refuses(slice(1), agent("some", [0, 2]))).toBeUndefined();
  expect(placement.refuses(slice(1), agent("local"))).toBeUndefined();
});

test("an agent without execution providers runs none", () => {
  const placement = new EvaluationPlacement(subjects);
  expect(placement.refuses(slice(0), agent("a", [0, 1, 2], []))).toBe("it runs no models (--no-eval)");
});

test("what an agent has loaded is nearer than all else", () => {
  const placement = new EvaluationPlacement(subjects);
  const [first, other] = [agent("first"), agent("other")];
  const bytes = subjects[0]?.checkpoint.files.reduce((sum, file) => sum + file.bytes, 0);
  expect(placement.remoteBytes(slice(0), first)).toBe(bytes);
  placement.loads(first, slice(0));
  expect(placement.remoteBytes(slice(0), first)).toBe(0);
  expect(placement.remoteBytes(slice(0), other)).toBe(bytes);
  placement.loads(first, slice(1));
  expect(placement.remoteBytes(slice(0), first)).toBe(bytes);
});

test("a model too large for one agent is another's turn, and nobody's when it is too large for all", () => {
  const placement = new EvaluationPlacement(subjects);
  const [small, large] = [agent("small"), agent("large")];
  const all = [small, large, { ...agent("gone"), state: "lost" } as unknown as JobAgent];
  const tooLarge = new AmalgamError("out_of_memory", "It needs 2 GB", { details: { needed: "2", allowed: "1" } });
  expect(placement.judge(tooLarge, slice(0), small, all)).toBe(tooLarge);
  expect(placement.judge(tooLarge, slice(0), large, all)).toMatchObject({
    ...{ code: "usage", message: "It needs 2 GB", details: { needed: "2" } },
  });
  expect(placement.judge(tooLarge, slice(1), large, all)).toBe(tooLarge);
});

test("a process that was killed says nothing about how much memory a model needs", () => {
  const killed = new AmalgamError("out_of_memory", "It was killed");
  const only = agent("only");
  expect(new EvaluationPlacement(subjects).judge(killed, slice(0), only, [only])).toBe(killed);
});

test("models of one form, made at the same moment, are told apart by where they lie", async () => {
  const open = async (name: string): Promise<Subject> => {
    const path = await writeCheckpoint(join(folder.path, name), { a: randomTensor(name.length, [4]) });
    await utimes(join(path, "model.safetensors"), 1, 1);
    return Subject.open({ name, path, role: "model" });
  };
  const [one, three] = [await open("one"), await open("three")];
  expect(one.digest).not.toBe(three.digest);
  expect((await open("one")).digest).toBe(one.digest);
});
