import { expect, test } from "vitest";
import { canMove, moved } from "../../../../coordinator/cluster/job-states.js";
import { JobStore, newJobId } from "../../../../coordinator/cluster/jobs.js";
import { jobStates, keys } from "../../../../shared/cluster/records.js";
import { type Fate, MemoryEngine, type Operation } from "../../../simulation/memory-bus.js";
import { VirtualClock } from "../../../simulation/virtual-clock.js";
import { jobRecordOf, someRequest } from "./records.js";

function cluster(before?: (operation: Operation) => Fate) {
  const clock = new VirtualClock();
  const engine = new MemoryEngine(clock, { before });
  return { clock, engine, bus: engine.client("client"), jobs: new JobStore(engine.client("client"), clock) };
}

/** The virtual clock runs until it is there. */
async function passing<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  promise.then(over, over);
  await clock.advanceUntil(() => isOver, 600_000);
  return promise;
}

/** A fate for the first operations of a kind. */
function first(times: number, fate: Fate, act: Operation["act"]): (operation: Operation) => Fate {
  let left = times;
  return (operation) => {
    if (operation.act !== act || left === 0) return "ok";
    left -= 1;
    return fate;
  };
}

test.each(["done", "failed", "canceled"] as const)("%s is final", (state) => {
  expect(jobStates.filter((next) => canMove(state, next))).toEqual([state]);
  expect(() => moved(jobRecordOf({ state }), "queued")).toThrow(`Cannot move job "job" from "${state}" to "queued"`);
});

test.each(["planning", "running", "waiting", "committing"] as const)(
  "a job whose leader was lost while it was %s is queued again",
  (state) => {
    expect(moved(jobRecordOf({ state, reason: "no agent" }), "queued")).toEqual(jobRecordOf());
  },
);

test.each([
  ["/models/merged", "merged-7f3a9c"],
  ["out/My Model (v2)", "My-Model-v2-7f3a9c"],
  ["/", "job-7f3a9c"],
  ["/models/模型", "job-7f3a9c"],
  ["x".repeat(500), `${"x".repeat(40)}-7f3a9c`],
])("the id of a job with the output %j", (output, id) => {
  expect(newJobId(output, "7f3a9c")).toBe(id);
});

test("an id that no job can have is not asked for", async () => {
  const asked: string[] = [];
  const { jobs } = cluster(({ act }) => {
    asked.push(act);
    return "ok";
  });
  expect([await jobs.get("{".repeat(400_000)), asked]).toEqual([undefined, []]);
});

test("a submitted job has a record, and the queue has its id", async () => {
  const { jobs, bus } = cluster();
  const record = await jobs.submit(someRequest, { id: "merged-1", by: "me@host", at: "2026-01-01T00:00:00Z" });
  expect(record).toMatchObject({ id: "merged-1", state: "queued", starts: 0, submittedBy: "me@host" });
  expect(await jobs.get("merged-1")).toEqual(record);
  expect((await bus.jobs.take(new AbortController().signal))?.body).toBe("merged-1");
});

test("an id that is in use is refused", async () => {
  const { jobs } = cluster();
  await jobs.submit(someRequest, { id: "merged-1", by: "me", at: "2026-01-01T00:00:00Z" });
  await expect(jobs.submit(someRequest, { id: "merged-1", by: "you" })).rejects.toThrow(
    'Cannot submit job "merged-1": there is one of that name',
  );
});

test.each(["create", "publish"] as const)("a submission whose %s was not answered is one submission", async (act) => {
  const { clock, jobs, engine } = cluster(first(1, "lose-reply", act));
  await passing(clock, jobs.submit(someRequest, { id: "merged-1", by: "me" }));
  expect(await jobs.list()).toHaveLength(1);
  expect(engine.jobs.size).toBe(1);
});

test("a job that the queue could not be told of is submitted all the same", async () => {
  const { clock, jobs, engine } = cluster(first(9, "fail", "publish"));
  await passing(clock, jobs.submit(someRequest, { id: "merged-1", by: "me" }));
  expect(await jobs.get("merged-1")).toBeDefined();
  expect(engine.jobs.size).toBe(0);
});

test("changes of two at once both take effect", async () => {
  const { clock, jobs, engine } = cluster((operation) => (operation.act === "update" ? 10 : "ok"));
  await jobs.submit(someRequest, { id: "merged-1", by: "me" });
  const other = new JobStore(engine.client("other"), clock);
  const add = (store: JobStore) => store.change("merged-1", (record) => ({ ...record, starts: record.starts + 1 }));
  await passing(clock, Promise.all([add(jobs), add(other), add(other)]));
  expect((await passing(clock, jobs.get("merged-1")))?.starts).toBe(3);
});

test("a change of what is not there, and one that is none", async () => {
  const { jobs, engine } = cluster();
  expect(await jobs.change("nothing", (record) => record)).toBeUndefined();
  const record = await jobs.submit(someRequest, { id: "merged-1", by: "me" });
  const before = engine.state.get(keys.job("merged-1"))?.revision;
  expect(await jobs.change("merged-1", () => undefined)).toEqual(record);
  expect(engine.state.get(keys.job("merged-1"))?.revision).toBe(before);
});

test("a cancellation is asked for once, and not of what is over", async () => {
  const { jobs, engine } = cluster();
  await jobs.submit(someRequest, { id: "merged-1", by: "me" });
  expect(await jobs.requestCancel("merged-1")).toMatchObject({ state: "queued", cancel: true });
  engine.state.set(keys.job("over"), JSON.stringify(jobRecordOf({ id: "over", state: "done" })));
  expect(await jobs.requestCancel("over")).toMatchObject({ state: "done", cancel: false });
  expect(await jobs.requestCancel("nothing")).toBeUndefined();
});

test("jobs are listed oldest first, without what is no record", async () => {
  const { jobs, engine } = cluster();
  engine.state.set("jobs.broken", "{}");
  await jobs.submit(someRequest, { id: "b", by: "me", at: "2026-01-02T00:00:00Z" });
  await jobs.submit(someRequest, { id: "a", by: "me", at: "2026-01-03T00:00:00Z" });
  await jobs.submit(someRequest, { id: "c", by: "me", at: "2026-01-01T00:00:00Z" });
  expect((await jobs.list()).map(({ id }) => id)).toEqual(["c", "b", "a"]);
});

test("an engine that never answers is told of", async () => {
  const { clock, jobs } = cluster(() => "fail");
  await expect(passing(clock, jobs.get("merged-1"))).rejects.toThrow("no answer within 2000 ms");
});
