import { execFileSync } from "node:child_process";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createRequestBuilder } from "../../../coordinator/dispatch/request.js";
import { WorkerPool } from "../../../node-agent/pool.js";
import type { TaskEvent } from "../../../node-agent/pool-worker.js";
import { livingThreads } from "../../../node-agent/threads.js";
import { AmalgamError } from "../../../shared/errors.js";
import type { MergeRequest } from "../../../shared/gen/amalgam/v1/agent_pb.js";
import { fakePlan, fakeWorker, streamed, temporaryFolder, unitPerTensor } from "../../support/dispatch.js";

const plan = fakePlan(Array.from({ length: 6 }, (_, i) => ({ name: `t${i}`, elements: 40_000 })));
const build = createRequestBuilder(plan, "job");
const requests: readonly MergeRequest[] = unitPerTensor(plan).map(
  (unit) => build(unit, { epoch: 1, task: streamed }).message,
);
const [first, second] = requests as [MergeRequest, MergeRequest];

async function startPool(options: { workers?: number; cancelGraceMs?: number; heapMiB?: number } = {}) {
  const folder = await temporaryFolder();
  const pool = new WorkerPool({
    entry: fakeWorker,
    workers: 1,
    memoryBytes: 1 << 26,
    roots: [folder.path],
    ...options,
  });
  return {
    pool,
    folder: folder.path,
    script: folder.script,
    async [Symbol.asyncDispose]() {
      await pool.close(new AmalgamError("canceled", "The test is over"));
      await folder[Symbol.asyncDispose]();
    },
  };
}

const never = new AbortController().signal;

function collector() {
  const events: TaskEvent[] = [];
  const onEvent = (event: TaskEvent, taken: () => void): void => {
    events.push(event);
    taken();
  };
  return { events, onEvent };
}

test("WorkerPool runs a unit and hands on what the worker says", async () => {
  await using started = await startPool();
  const { events, onEvent } = collector();
  await started.pool.run(first, { onEvent }, never);
  expect(events.filter(({ type }) => type === "chunk")).toHaveLength(20);
  expect(events.at(-1)).toMatchObject({ type: "receipt", receipt: { bytes: 80_000n } });
});

test("WorkerPool runs as many units at once as it has workers, and the rest in turn", async () => {
  await using started = await startPool({ workers: 2 });
  await started.script({ sleepMs: 50 });
  let [running, most] = [0, 0];
  await Promise.all(
    requests.map((request) => {
      const onStart = (): void => {
        running += 1;
        most = Math.max(most, running);
      };
      const onEvent = ({ type }: TaskEvent, taken: () => void): void => {
        if (type === "receipt") running -= 1;
        taken();
      };
      return started.pool.run(request, { onStart, onEvent }, never);
    }),
  );
  expect(most).toBe(2);
  expect(started.pool.size).toBe(0);
});

test("a worker waits while its chunks are not taken", async () => {
  await using started = await startPool();
  const waiting: (() => void)[] = [];
  let chunks = 0;
  const onEvent = (event: TaskEvent, taken: () => void): void => {
    if (event.type !== "chunk") return;
    chunks += 1;
    waiting.push(taken);
  };
  const done = started.pool.run(first, { onEvent }, never);
  await expect.poll(() => chunks).toBe(4);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(chunks).toBe(4);
  waiting.shift()?.();
  await expect.poll(() => chunks).toBe(5);
  const drain = setInterval(() => {
    for (const taken of waiting.splice(0)) taken();
  }, 1);
  await done;
  clearInterval(drain);
  expect(chunks).toBe(20);
});

test("a worker that dies fails its unit only, and the next unit gets a new worker", async () => {
  await using started = await startPool();
  const { onEvent } = collector();
  await started.script({ fault: "crash", unit: 0 });
  const doomed = started.pool.run(first, { onEvent }, never);
  const queued = started.pool.run(second, { onEvent }, never);
  await expect(doomed).rejects.toMatchObject({ code: "internal", message: "A worker thread ended with code 7" });
  await queued;
  await started.script({ fault: "throw", unit: 0 });
  await expect(started.pool.run(first, { onEvent }, never)).rejects.toThrow("thrown on purpose");
  await started.pool.run(second, { onEvent }, never);
});

test("a worker out of JavaScript memory fails its unit with out_of_memory", async () => {
  await using started = await startPool({ heapMiB: 32 });
  await started.script({ fault: "out of memory", unit: 0 });
  const { onEvent } = collector();
  await expect(started.pool.run(first, { onEvent }, never)).rejects.toMatchObject({ code: "out_of_memory" });
  await started.pool.run(second, { onEvent }, never);
});

test("a worker's own failure keeps its code", async () => {
  await using started = await startPool();
  await started.script({ fault: "fail", code: "checkpoint_changed" });
  const { onEvent } = collector();
  const message = 'Cannot read "t0": on purpose';
  await expect(started.pool.run(first, { onEvent }, never)).rejects.toMatchObject({
    code: "checkpoint_changed",
    message,
  });
});

test("a canceled unit ends at once with the signal's reason, and its worker goes on with the next", async () => {
  await using started = await startPool();
  await started.script({ fault: "hang", unit: 0 });
  const controller = new AbortController();
  const { onEvent } = collector();
  const reason = new AmalgamError("canceled", "Enough");
  const hanging = started.pool.run(
    first,
    { onStart: () => setTimeout(() => controller.abort(reason), 50), onEvent },
    controller.signal,
  );
  await expect(hanging).rejects.toBe(reason);
  await started.pool.run(second, { onEvent }, never);
});

test("a worker that waits for the network can be canceled", async () => {
  await using started = await startPool();
  const controller = new AbortController();
  let chunks = 0;
  const onEvent = (): void => {
    chunks += 1;
    if (chunks === 5) controller.abort(new AmalgamError("canceled", "Enough"));
  };
  await expect(started.pool.run(first, { onEvent }, controller.signal)).rejects.toThrow("Enough");
  const { onEvent: take } = collector();
  await started.pool.run(second, { onEvent: take }, never);
});

test("a worker that does not hear that it is canceled is ended and replaced", async () => {
  await using started = await startPool({ cancelGraceMs: 100 });
  await started.script({ fault: "deaf", unit: 0 });
  const controller = new AbortController();
  const { onEvent } = collector();
  const deaf = started.pool.run(
    first,
    { onStart: () => setTimeout(() => controller.abort(), 50), onEvent },
    controller.signal,
  );
  await expect(deaf).rejects.toMatchObject({ code: "canceled" });
  await started.pool.run(second, { onEvent }, never);
});

test("a unit that is canceled in the queue never starts", async () => {
  await using started = await startPool();
  await started.script({ sleepMs: 100, unit: 0 });
  const controller = new AbortController();
  const { onEvent } = collector();
  const running = started.pool.run(first, { onEvent }, never);
  let hasStarted = false;
  const onStart = (): void => {
    hasStarted = true;
  };
  const queued = started.pool.run(second, { onStart, onEvent }, controller.signal);
  controller.abort();
  await expect(queued).rejects.toMatchObject({ code: "canceled" });
  await running;
  expect(hasStarted).toBe(false);
});

test("closing the pool does not wait for a thread that waits inside the system", async () => {
  await using started = await startPool();
  const fifo = join(started.folder, "fifo");
  execFileSync("mkfifo", [fifo]);
  await started.script({ fault: "stuck" });
  const { events, onEvent } = collector();
  const stuck = started.pool.run(first, { onEvent }, never);
  const failed = expect(stuck).rejects.toMatchObject({ code: "agent_draining" });
  await expect.poll(() => events.length).toBe(1);
  await started.pool.close(new AmalgamError("agent_draining", "Over"));
  await failed;
  // Lets go of the thread, which this process would wait for.
  await using _ = await open(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  await expect.poll(() => livingThreads(), { timeout: 20_000 }).toBe(0);
});

test("closing the pool fails what runs and what waits", async () => {
  await using started = await startPool();
  await started.script({ fault: "hang" });
  const { onEvent } = collector();
  const both = [first, second].map((request) => started.pool.run(request, { onEvent }, never));
  await Promise.all([
    ...both.map((unit) => expect(unit).rejects.toMatchObject({ code: "agent_draining" })),
    started.pool.close(new AmalgamError("agent_draining", "Over")),
  ]);
  await expect(started.pool.run(first, { onEvent }, never)).rejects.toMatchObject({ code: "agent_draining" });
});
