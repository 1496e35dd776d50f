import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TryRequest, TryResponse } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { collect } from "../../support/dispatch.js";
import { killedIn, startOwner } from "../../support/own-folders.js";
import {
  ballastBytes,
  endlessTasks,
  factsIn,
  filesIn,
  planText,
  receiptsIn,
  resultsFromDisk,
  resultsIn,
  type Started,
  startOne,
  taskArithmetic,
  ties,
  tryRequest,
  usualTasks,
} from "./trials-parts.js";

/** For tests that do not mind what others have left. */
let common: Started;

beforeAll(async () => {
  common = await startOne();
});
afterAll(() => common[Symbol.asyncDispose]());

describe("a trial in memory", () => {
  const recipes: readonly [string, string, number | undefined][] = [
    ["a method with statistics", ties(0.7), undefined],
    ["an adapter", taskArithmetic(0.7, "one+lora"), undefined],
    ["several files", taskArithmetic(0.7), 1_000],
  ];

  test.each(recipes)("gives the bits that merging to disk and evaluating do: %s", async (_, text, shardBytes) => {
    const started = common;
    const tasks = usualTasks();
    await started.client.keep({ blobs: [...tasks.blobs] });
    const plan = await planText(started.folder, text, shardBytes);
    expect(plan.files).toHaveLength(shardBytes === undefined ? 1 : 4);
    const results = resultsIn(await collect(started.client.try(tryRequest(plan, tasks))));
    expect(Object.keys(results).toSorted()).toEqual(["10.0", "10.1", "11.4", "12.2"]);
    expect(results).toEqual(await resultsFromDisk(started, plan, tasks));
    // From inputs that are in memory by now.
    const again = await collect(started.client.try(tryRequest(plan, tasks)));
    expect(resultsIn(again)).toEqual(results);
  });

  test("brings inputs once, merges once, and tells what it took", async () => {
    await using started = await startOne();
    const tasks = usualTasks();
    await started.client.keep({ blobs: [...tasks.blobs] });
    const first = await planText(started.folder, taskArithmetic(0.2));
    const begun = await collect(started.client.try(tryRequest(first, tasks)));
    const facts = factsIn(begun);
    expect(facts).toMatchObject({ provider: "cpu", reused: false });
    expect(facts.fetchedBytes).toBe(facts.residentBytes);
    expect(Number(facts.fetchedBytes)).toBeGreaterThan(3 * ballastBytes);
    expect(receiptsIn(begun).map(({ piece }) => piece)).toEqual([0, 1, 2, 3]);

    const other = await collect(started.client.try(tryRequest(await planText(started.folder, ties(0.9)), tasks)));
    expect(factsIn(other)).toMatchObject({ fetchedBytes: 0n, residentBytes: facts.residentBytes, reused: false });
    expect(resultsIn(other)).not.toEqual(resultsIn(begun));

    const rung = await collect(started.client.try(tryRequest(first, tasks)));
    expect(factsIn(rung)).toMatchObject({ reused: true, mergeSeconds: 0 });
    expect(receiptsIn(rung)).toEqual([]);
    expect(resultsIn(rung)).toEqual(resultsIn(begun));
  });

  test("takes the statistics that it told before, for the same bits", async () => {
    const started = common;
    const tasks = usualTasks();
    await started.client.keep({ blobs: [...tasks.blobs] });
    const plan = await planText(started.folder, ties(1));
    const request = tryRequest(plan, tasks);
    const first = await collect(started.client.try(request));
    const receipts = receiptsIn(first);
    expect(receipts.map(({ statistics }) => statistics.length)).toEqual(receipts.map(() => expect.any(Number)));
    expect(receipts.every(({ statistics }) => statistics.length > 0 && statistics.every(Number.isFinite))).toBe(true);
    const told = structuredClone(request);
    if (told.model !== undefined) told.model.digest = new Uint8Array(32).fill(1);
    for (const [i, piece] of (told.model?.pieces ?? []).entries()) piece.statistics = receipts[i]?.statistics ?? [];
    const second = await collect(started.client.try(told));
    expect(resultsIn(second)).toEqual(resultsIn(first));
    expect(receiptsIn(second).map(({ crc32, statistics }) => [crc32, statistics])).toEqual(
      receipts.map(({ crc32 }) => [crc32, []]),
    );
    // They are what decides what is kept: with others other bits come out.
    for (const piece of told.model?.pieces ?? []) piece.statistics = piece.statistics.map((x) => 3 * x + 1);
    if (told.model !== undefined) told.model.digest = new Uint8Array(32).fill(2);
    expect(receiptsIn(await collect(started.client.try(told))).map(({ crc32 }) => crc32)).not.toEqual(
      receipts.map(({ crc32 }) => crc32),
    );
  });

  test("two trials at once finish within memory for one, which is never exceeded", async () => {
    const trialMemoryBytes = Math.round(1.5 * ballastBytes);
    await using started = await startOne({ trialMemoryBytes });
    expect(Number((await started.client.describe({})).trialMemoryBytes)).toBe(trialMemoryBytes);
    const tasks = usualTasks();
    await started.client.keep({ blobs: [...tasks.blobs] });
    const plans = await Promise.all([0.1, 0.4, 0.8].map((weight) => planText(started.folder, taskArithmetic(weight))));
    const all = await Promise.all(plans.map((plan) => collect(started.client.try(tryRequest(plan, tasks)))));
    for (const [i, plan] of plans.entries()) {
      expect(resultsIn(all[i] ?? [])).toEqual(await resultsFromDisk(started, plan, tasks));
      const facts = factsIn(all[i] ?? []);
      expect(Number(facts.peakBytes)).toBeGreaterThan(ballastBytes);
      expect(Number(facts.peakBytes)).toBeLessThanOrEqual(trialMemoryBytes);
    }
    expect(filesIn(started.memory).filter((name) => name === "weights")).toHaveLength(1);
  });

  test("that cannot fit fails with what it needs and what is allowed", async () => {
    await using started = await startOne({ trialMemoryBytes: ballastBytes });
    const tasks = usualTasks();
    await started.client.keep({ blobs: [...tasks.blobs] });
    const plan = await planText(started.folder, taskArithmetic(1));
    await expect(collect(started.client.try(tryRequest(plan, tasks)))).rejects.toMatchObject({
      code: "out_of_memory",
      message: expect.stringMatching(/^Cannot merge trial 7 in memory: .* may use 524 KB; .*"--trial-memory"/),
      details: { allowed: String(ballastBytes), needed: expect.stringMatching(/^5\d{5}$/) },
    });
    expect(filesIn(started.memory)).toEqual([]);
  });

  test("wants its blobs, is told which are missing, and runs when they are there", async () => {
    await using started = await startOne();
    const tasks = usualTasks();
    const request = tryRequest(await planText(started.folder, taskArithmetic(1)), tasks);
    await started.client.keep({ blobs: tasks.blobs.slice(0, 2) });
    await expect(collect(started.client.try(request))).rejects.toMatchObject({
      code: "inputs_missing",
      message: expect.stringContaining("5 of the 7 batches and graphs that it needs are not here"),
      details: { missing: "5", needed: "7" },
    });
    expect(filesIn(started.memory)).toEqual([]);
    await started.client.keep({ blobs: tasks.blobs.slice(2) });
    expect(Object.keys(resultsIn(await collect(started.client.try(request))))).toHaveLength(4);
  });

  test("that is canceled leaves no weights, and the next one runs", async () => {
    await using started = await startOne();
    const [endless, usual] = [endlessTasks(), usualTasks()];
    await started.client.keep({ blobs: [...endless.blobs, ...usual.blobs] });
    const plan = await planText(started.folder, taskArithmetic(1));
    const canceled = new AbortController();
    const running = collectUntilMerged(started.client.try(tryRequest(plan, endless), { signal: canceled.signal }));
    await running.merged;
    expect(filesIn(started.memory)).toContain("weights");
    canceled.abort();
    await expect(running.over).rejects.toMatchObject({ code: "canceled" });
    await expect.poll(() => started.agent.running, { timeout: 20_000 }).toBe(0);
    expect(filesIn(started.memory)).not.toContain("weights");
    expect(Object.keys(resultsIn(await collect(started.client.try(tryRequest(plan, usual)))))).toHaveLength(4);
  });

  test("of a leader is stopped by a later one", async () => {
    await using started = await startOne();
    const endless = endlessTasks();
    await started.client.keep({ blobs: [...endless.blobs] });
    const plan = await planText(started.folder, taskArithmetic(1));
    const running = collectUntilMerged(started.client.try(tryRequest(plan, endless, { fence: 1n })));
    await running.merged;
    await started.client.keep({ blobs: [...usualTasks().blobs], leadership: { job: "sweep", fence: 2n } });
    await expect(running.over).rejects.toMatchObject({ code: "fenced" });
  });

  test("ends with its agent, whose folder is gone then", async () => {
    await using started = await startOne();
    const endless = endlessTasks();
    await started.client.keep({ blobs: [...endless.blobs] });
    const plan = await planText(started.folder, taskArithmetic(1));
    const running = collectUntilMerged(started.client.try(tryRequest(plan, endless)));
    await running.merged;
    expect(readdirSync(started.memory)).toHaveLength(1);
    await Promise.all([
      expect(running.over).rejects.toMatchObject({ code: "agent_draining" }),
      started.agent.close({ graceMs: 100 }),
    ]);
    expect(readdirSync(started.memory)).toEqual([]);
  });

  test("sees no more than the agent's roots, and others do not see what it holds", async () => {
    const started = common;
    const tasks = usualTasks();
    await started.client.keep({ blobs: [...tasks.blobs] });
    const plan = await planText(started.folder, taskArithmetic(1));
    const outside = tryRequest(plan, tasks);
    for (const source of outside.model?.sources ?? []) source.path = source.path.replace(started.folder, "/nowhere");
    await expect(collect(started.client.try(outside))).rejects.toMatchObject({ code: "path_refused" });
    await collect(started.client.try(tryRequest(plan, tasks)));
    const [own = ""] = readdirSync(started.memory);
    await expect(started.client.list({ path: join(started.memory, own) })).rejects.toMatchObject({
      code: "path_refused",
    });
  });
});

test("what a killed agent left in memory is removed by the next, what a living one has is not", async () => {
  await using first = await startOne();
  const dead = await killedIn(first.memory, "amalgam-trials-");
  await using living = await startOwner(first.memory, "amalgam-trials-");
  const foreign = join(first.memory, "amalgam-trials-of-mine");
  mkdirSync(foreign);
  await using _ = await startOne({ trialFolder: first.memory });
  expect([dead, living.folder, foreign].map((path) => existsSync(path))).toEqual([false, true, true]);
});

test.each([
  ["evaluates nothing", { providers: [] }],
  ["has no memory for trials", { trialMemoryBytes: 0 }],
])("an agent that %s says so and refuses trials", async (_, options) => {
  await using started = await startOne(options);
  expect((await started.client.describe({})).trialMemoryBytes).toBe(0n);
  const refused = { code: "usage", message: expect.stringContaining("runs no trials") };
  await expect(started.client.keep({ blobs: [new Uint8Array(1)] })).rejects.toMatchObject(refused);
  await expect(collect(started.client.try({}))).rejects.toMatchObject(refused);
});

describe("a request that contradicts itself is refused", () => {
  type Model = NonNullable<TryRequest["model"]>;
  const file = (model: Model) => model.files[0] ?? expect.fail("no file");
  const piece = (model: Model, i = 0) => model.pieces[i] ?? expect.fail("no piece");
  const graph = (request: TryRequest) => task(request).graphs[0] ?? expect.fail("no graph");
  const task = (request: TryRequest) => request.tasks[0] ?? expect.fail("no task");
  const changes: readonly [string, (request: TryRequest, model: Model) => void, RegExp, string?][] = [
    ["no model", (request) => Reflect.deleteProperty(request, "model"), /it names no model/],
    ["a short digest", (_, model) => (model.digest = new Uint8Array(31)), /has 31 bytes, not the 32/],
    ["no files", (_, model) => (model.files = []), /number of weight files of 0/],
    ["a file above", (_, model) => (file(model).name = "../x.safetensors"), /its name is a path/, "path_refused"],
    ["a file twice", (_, model) => model.files.push(file(model)), /it has the file "model.safetensors" twice/],
    [
      "a cut header",
      (_, model) => (file(model).header = file(model).header.subarray(0, 5)),
      /says nothing of its length/,
    ],
    ["a larger file", (_, model) => (file(model).bytes += 1n), /the pieces of "model.safetensors" end at byte/],
    ["a vast file", (_, model) => (file(model).bytes = 2n ** 60n), /has 1152921504606846976 bytes/],
    ["a gap", (_, model) => (piece(model, 1).outputOffset += 4n), /begins at byte/],
    ["an overlap", (_, model) => (piece(model, 1).outputOffset -= 4n), /begins at byte/],
    ["a piece over a header", (_, model) => (piece(model).outputOffset = 0n), /begins at byte 0 of/],
    ["half a piece", (_, model) => (piece(model).end -= 1n), /begins at byte|end at byte/],
    ["a file that is not there", (_, model) => (piece(model).outputFile = 9), /goes to file 9 of 1/],
    ["no pieces", (_, model) => (model.pieces = []), /it has no pieces/],
    ["an unknown program", (_, model) => (piece(model).program = 99), /runs program 99/],
    ["no tasks", (request) => (request.tasks = []), /number of tasks of 0/],
    ["a task twice", (request) => (request.tasks = [task(request), task(request)]), /it has task 10 twice/],
    ["no batches", (request) => (task(request).batches = []), /task 10 has no batches/],
    ["a short batch digest", (request) => task(request).batches.push(new Uint8Array(1)), /has 1 bytes, not the 32/],
    ["a graph's long digest", (r) => task(r).graphs.push({ ...graph(r), model: new Uint8Array(33) }), /has 33 bytes/],
    ["too many threads", (request) => (request.threads = 5_000), /number of threads of 5000/],
    [
      "a graph for a batch",
      (r) => (task(r).batches = task(r).graphs.map(({ model }) => model)),
      /is no batch|dtype|input/,
    ],
    ["an unknown role", (r) => task(r).graphs.push({ ...graph(r), role: "bod" }), /no graph has the role "bod"/],
    ["no measure", (r) => (task(r).measure = { case: undefined }), /no measure that this agent knows/],
  ];

  test("and the agent goes on", async () => {
    const started = common;
    const tasks = usualTasks();
    await started.client.keep({ blobs: [...tasks.blobs] });
    const plan = await planText(started.folder, taskArithmetic(0.35));
    const before = filesIn(started.memory);
    for (const [name, change, message, code = "usage"] of changes) {
      const request = structuredClone(tryRequest(plan, tasks));
      if (request.model !== undefined) change(request, request.model);
      await expect(collect(started.client.try(request)), name).rejects.toMatchObject({
        code,
        message: expect.stringMatching(message),
      });
    }
    expect(filesIn(started.memory)).toEqual(before);
    await expect(started.client.keep({ blobs: [] })).rejects.toMatchObject({ code: "usage" });
    await expect(started.client.keep({ blobs: [new Uint8Array(0)] })).rejects.toMatchObject({ code: "usage" });
    expect(Object.keys(resultsIn(await collect(started.client.try(tryRequest(plan, tasks)))))).toHaveLength(4);
  });
});

/** `merged` resolves when the model is, or the trial is over. */
function collectUntilMerged(responses: AsyncIterable<TryResponse>) {
  let tell: () => void = () => undefined;
  const merged = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const run = async (): Promise<void> => {
    let receipts = 0;
    for await (const { event } of responses) {
      if (event.case === "receipt") receipts += 1;
      if (receipts === 4) tell();
    }
  };
  const over = run().finally(tell);
  over.catch(() => undefined);
  return { merged, over };
}
