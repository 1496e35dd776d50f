import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { extractLora } from "../../../coordinator/lora/extract.js";
import { factorize } from "../../../coordinator/lora/factorize.js";
import { runAgent } from "../../../node-agent/main.js";
import { openCheckpoint } from "../../../shared/checkpoint/open.js";
import { AmalgamError } from "../../../shared/errors.js";
import { AgentService, type FactorizeRequestSchema } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { createClient } from "../../../shared/rpc/client.js";
import { randomTensor, withTempDir, writeCheckpoint } from "../../support/checkpoints.js";
import { collect } from "../../support/dispatch.js";
import { agentEntry } from "../../support/merges.js";

/** An agent with a matrix of 1,024 × 900 and one of 30 × 20 to read. */
async function startOne() {
  const folder = await withTempDir();
  const directory = await writeCheckpoint(join(folder.path, "model"), {
    "large.weight": randomTensor(1, [1024, 900]),
    "small.weight": randomTensor(2, [30, 20]),
  });
  const checkpoint = await openCheckpoint(directory);
  const path = checkpoint.files[0]?.path ?? "";
  const { size, mtimeMs } = await stat(path);
  const agent = await runAgent({ roots: [dirname(path)], slots: 1 });
  const client = createClient(AgentService, agent.address);
  const sourceOf = (name: string) => {
    const tensor = checkpoint.tensors.get(name);
    if (tensor === undefined) throw new RangeError(name);
    return { path, fileBytes: size, modifiedMs: mtimeMs, offset: tensor.offset, dtype: tensor.dtype };
  };
  const [matrix, base] = [sourceOf("small.weight"), { ...sourceOf("large.weight") }];
  return {
    client,
    small: { ...{ name: "small", rows: 30, columns: 20, rank: 4, epsilon: 0 }, matrix, base },
    large: { ...{ name: "large", rows: 1024, columns: 900, rank: 400, epsilon: 0 }, matrix: base, base: matrix },
    request: {
      ...{ tensor: "small", rows: 30n, columns: 20n, rank: 4, epsilon: 0, chunkBytes: 1024 },
      sources: [{ path, bytes: BigInt(size), modifiedMs: mtimeMs }],
      matrix: { file: 0, offset: BigInt(matrix.offset), dtype: "F32" },
    } satisfies MessageInitShape<typeof FactorizeRequestSchema>,
    async [Symbol.asyncDispose]() {
      client.close();
      await agent.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

type Change = Partial<Awaited<ReturnType<typeof startOne>>["request"]>;

const never = new AbortController().signal;

test("an agent sends the values, then the vectors, in checked chunks", async () => {
  await using started = await startOne();
  const { client, small } = started;
  const { values, left, right } = await factorize({ client, label: "one" }, small, never);
  expect([values.length, left.length, right.length]).toEqual([4, 4 * 30, 4 * 20]);
  expect([...values]).toEqual([...values].toSorted((a, b) => b - a));
});

test("an agent stops factorizing when the call is canceled, and takes the next", async () => {
  await using started = await startOne();
  const { client, small, large } = started;
  const controller = new AbortController();
  // The difference is zero, which takes as long as any.
  const running = factorize({ client, label: "one" }, { ...large, base: large.matrix }, controller.signal);
  setTimeout(() => controller.abort(new AmalgamError("canceled", "Enough")), 100);
  await expect(running).rejects.toMatchObject({ code: "canceled", message: "Enough" });
  await expect(factorize({ client, label: "one" }, small, never)).resolves.toMatchObject({});
});

test.each<[what: string, change: Change, message: RegExp]>([
  ["no rows", { rows: 0n }, /it is 0 × 20/],
  ["a rank of zero", { rank: 0 }, /rank 0 is not between 1 and 16777216/],
  ["an epsilon that is no number", { epsilon: Number.NaN }, /epsilon is NaN/],
  ["a matrix beyond its file", { rows: 2n ** 40n }, /go beyond/],
  ["sizes beyond 2^53", { rows: 2n ** 60n, columns: 2n ** 60n }, /it is \d+ × \d+/],
  ["a file that is not named", { matrix: { file: 1, offset: 0n, dtype: "F32" } }, /source file 1 of 1/],
  ["integers", { matrix: { file: 0, offset: 0n, dtype: "I32" } }, /it has the dtype "I32"/],
  ["chunks that no message holds", { chunkBytes: 2 ** 31 }, /chunks of 2147483648 bytes/],
])("an agent refuses to factorize %s", async (_, change, message) => {
  await using started = await startOne();
  const call = async (): Promise<void> => {
    for await (const _event of started.client.factorize({ ...started.request, ...change }));
  };
  await expect(call()).rejects.toMatchObject({ code: "usage", message: expect.stringMatching(message) });
});

test("an agent refuses to factorize what is not named", async () => {
  await using started = await startOne();
  const { matrix: _, ...request } = started.request;
  await expect(collect(started.client.factorize(request))).rejects.toThrow(/no matrix is named/);
});

test("an agent notices a file that is not what it was", async () => {
  await using started = await startOne();
  const { client, small } = started;
  const changed = { ...small, matrix: { ...small.matrix, modifiedMs: 1 } };
  await expect(factorize({ client, label: "one" }, changed, never)).rejects.toMatchObject({
    code: "checkpoint_changed",
  });
});

test("extractLora() that is canceled leaves nothing behind", async () => {
  await using folder = await withTempDir();
  const tensors = { "large.weight": randomTensor(1, [1024, 900]) };
  const model = await writeCheckpoint(join(folder.path, "model"), tensors);
  const base = await writeCheckpoint(join(folder.path, "base"), { "large.weight": randomTensor(2, [1024, 900]) });
  const controller = new AbortController();
  const extracting = extractLora({
    ...{ model, base, output: join(folder.path, "adapter"), maxRank: 400, epsilon: 0, distributeScale: true },
    options: { embedLora: false, saveModules: [], include: [], exclude: [], skipUndecomposable: false },
    agents: { kind: "local", count: 1, mode: "thread", entry: agentEntry, slotsEach: 1, memoryBytesEach: 2 ** 30 },
    signal: controller.signal,
    onEvent: () => setTimeout(() => controller.abort(new AmalgamError("canceled", "Interrupted")), 50),
  });
  await expect(extracting).rejects.toMatchObject({ code: "canceled" });
  await expect(stat(join(folder.path, "adapter"))).rejects.toThrow("ENOENT");
});
