import { execFileSync } from "node:child_process";
import { mkdir, rename, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Plan } from "../../../coordinator/plan/types.js";
import { runAgent } from "../../../node-agent/main.js";
import { AgentService } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { createClient } from "../../../shared/rpc/client.js";
import { withTempDir } from "../../support/checkpoints.js";
import { planLarge } from "../../support/large-plan.js";
import { writeFamily, writeRecipe } from "../../support/merges.js";
import { streamPlan } from "../../support/one-agent.js";
import { startReadServer } from "../../support/read-server.js";
import { planRecipe } from "../../support/run-plan.js";

// An agent that has no source reads all of them from one that has, and the bytes are the same.

const scratch = withTempDir();
/** What most tests read, and what one agent that sees it makes of it. */
let plan: Plan;
let golden: string;
let pair: Awaited<ReturnType<typeof startPair>>;

/** An agent whose roots hold the sources, and one whose roots hold nothing. */
async function startPair() {
  const { path } = await scratch;
  const [full, empty] = [join(path, "full"), join(path, "empty")];
  await Promise.all([full, empty].map((folder) => mkdir(folder, { recursive: true })));
  const seeing = await runAgent({ roots: [full], slots: 2, name: "seeing" });
  const blind = await runAgent({ roots: [empty], slots: 2, name: "blind", memoryBytes: 64 << 20 });
  return {
    full,
    seeing,
    blind,
    async [Symbol.asyncDispose]() {
      for (const one of [blind, seeing]) await one[Symbol.asyncDispose]();
    },
  };
}

beforeAll(async () => {
  pair = await startPair();
  plan = await planLarge(join(pair.full, "large"));
  golden = (await streamPlan(plan, pair.seeing.address)).sha256;
});
afterAll(async () => {
  await pair[Symbol.asyncDispose]();
  await (await scratch)[Symbol.asyncDispose]();
});

/** What is read differs in form only with these: several passes, layers and rows of others, adapters, documents. */
const recipesByReading = ["linear", "ties", "slices", "union", "lora", "documents"] as const;

test("an agent without any source gives the same bytes", async () => {
  await writeFamily(pair.full);
  for (const name of recipesByReading) {
    const plan = await planRecipe(await writeRecipe(pair.full, name));
    const local = await streamPlan(plan, pair.seeing.address);
    const remote = await streamPlan(plan, pair.blind.address, { peersOf: () => [pair.seeing.address] });
    expect(remote.sha256, name).toBe(local.sha256);
    expect(remote.results[0]?.bytesRead, name).toBe(local.results[0]?.bytesRead);
  }
}, 120_000);

test("tensors of megabytes in small pieces give the same bytes", async () => {
  const remote = await streamPlan(plan, pair.blind.address, {
    unitBytes: 700_000,
    peersOf: () => [pair.seeing.address],
  });
  expect(remote.units).toBeGreaterThan(5);
  expect(remote.sha256).toBe(golden);
});

test("what one peer began when it went away another one finishes", async () => {
  await using dying = await startReadServer({ endAfterChunks: 1 });
  const remote = await streamPlan(plan, pair.blind.address, { peersOf: () => [dying.address, pair.seeing.address] });
  expect(remote.sha256).toBe(golden);
  expect(dying.chunks).toBeGreaterThan(0);
});

test("a unit goes on with another peer when the agent that it reads from is gone", async () => {
  await using leaving = await runAgent({ roots: [pair.full], slots: 1, ioBytesPerSecond: 2 << 20 });
  let closed: Promise<void> | undefined;
  const remote = await streamPlan(plan, pair.blind.address, {
    peersOf: () => [leaving.address, pair.seeing.address],
    onProgress: (bytesRead) => {
      if (closed === undefined) expect(bytesRead).toBeLessThan(16e6);
      closed ??= leaving.close();
    },
  });
  await closed;
  expect(closed).toBeDefined();
  expect(remote.sha256).toBe(golden);
});

test("a peer that sends other bytes than it says is not believed", async () => {
  await using lying = await startReadServer({ wrongSums: true });
  const remote = await streamPlan(plan, pair.blind.address, { peersOf: () => [lying.address, pair.seeing.address] });
  expect(remote.sha256).toBe(golden);
  expect(lying.chunks).toBeGreaterThan(0);
});

test("a unit that no peer can serve fails with what each of them said, and may be tried again", async () => {
  await using dying = await startReadServer({ endAfterChunks: 0 });
  const failing = streamPlan(plan, pair.blind.address, { peersOf: () => [dying.address, "127.0.0.1:1"] });
  await expect(failing).rejects.toMatchObject({
    code: "io_failed",
    retryable: true,
    message: expect.stringMatching(
      new RegExp(
        `none of 2 serves it: .*${dying.address} \\(.*127\\.0\\.0\\.1:1 \\(|none of 2 serves it: 127\\.0\\.0\\.1:1`,
      ),
    ),
  });
});

test("without a peer a source is refused as ever", async () => {
  await expect(streamPlan(plan, pair.blind.address)).rejects.toMatchObject({ code: "path_refused" });
});

test("a source that changed is read from a peer that has the planned one, and is an error without", async () => {
  const plan = await planLarge(join(pair.full, "changed"));
  const local = await streamPlan(plan, pair.seeing.address);
  const moved: Plan = {
    ...plan,
    sources: plan.sources.map((source) => ({ ...source, modifiedMs: source.modifiedMs + 1 })),
  };
  await expect(streamPlan(moved, pair.seeing.address)).rejects.toMatchObject({ code: "checkpoint_changed" });
  // The file is here, but of another size; a peer that was asked before the change still has it.
  await using server = await startReadServer({ files: plan.sources.map(({ path }) => path) });
  for (const { path } of plan.sources) await truncate(path, (await stat(path)).size - 1);
  await expect(streamPlan(plan, pair.seeing.address)).rejects.toMatchObject({ code: "checkpoint_changed" });
  const remote = await streamPlan(plan, pair.seeing.address, { peersOf: () => [server.address] });
  expect(remote.sha256).toBe(local.sha256);
});

test("a FIFO in a source's place is refused, and the worker takes the next unit", async () => {
  for (const { path } of plan.sources) {
    await rename(path, `${path}.kept`);
    execFileSync("mkfifo", [path]);
  }
  await expect(streamPlan(plan, pair.seeing.address)).rejects.toMatchObject({
    code: "checkpoint_malformed",
    message: expect.stringContaining("it is a FIFO, not a regular file"),
  });
  for (const { path } of plan.sources) await rename(`${path}.kept`, path);
  expect((await streamPlan(plan, pair.seeing.address)).sha256).toBe(golden);
});

test("a peer that has heard a later leader ends the unit", async () => {
  // Of its own: what an agent has heard of leaders stays.
  await using pair = await startPair();
  const client = createClient(AgentService, pair.seeing.address);
  await client.describe({ leadership: { job: "job", fence: 9n } });
  client.close();
  const stale = streamPlan(plan, pair.blind.address, { fence: 8, peersOf: () => [pair.seeing.address] });
  await expect(stale).rejects.toMatchObject({ code: "fenced" });
});

test("a unit whose leader is followed by another one is stopped, and the next leader's runs", async () => {
  // Of its own: what an agent has heard of leaders stays.
  await using pair = await startPair();
  await using silent = await startReadServer({ hang: true });
  const stale = streamPlan(plan, pair.blind.address, { fence: 3, peersOf: () => [silent.address] });
  const stopped = expect(stale).rejects.toMatchObject({ code: "fenced", retryable: false });
  await expect.poll(() => silent.calls, { timeout: 30_000 }).toBeGreaterThan(0);
  const next = await streamPlan(plan, pair.blind.address, { fence: 4, peersOf: () => [pair.seeing.address] });
  await stopped;
  expect(next.sha256).toBe(golden);
  await expect(streamPlan(plan, pair.blind.address, { fence: 3 })).rejects.toMatchObject({ code: "fenced" });
});

test("a unit that waits for a peer can be canceled, and the worker takes the next", async () => {
  await using silent = await startReadServer({ hang: true });
  const controller = new AbortController();
  const waiting = streamPlan(plan, pair.blind.address, {
    peersOf: () => [silent.address],
    signal: controller.signal,
  });
  await expect.poll(() => silent.calls, { timeout: 30_000 }).toBeGreaterThan(0);
  controller.abort();
  await expect(waiting).rejects.toMatchObject({ code: "canceled" });
  const remote = await streamPlan(plan, pair.blind.address, { peersOf: () => [pair.seeing.address] });
  expect(remote.sha256).toBe(golden);
});
