import { expect, test } from "vitest";
import { type FollowOptions, followJob, type JobNews } from "../../../../coordinator/cli/follow-job.js";
import { wordOf } from "../../../../shared/bus/bus.js";
import { type JobRecord, keys } from "../../../../shared/cluster/records.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { MemoryEngine } from "../../../simulation/memory-bus.js";
import { settle, VirtualClock } from "../../../simulation/virtual-clock.js";
import { eventOf, jobOf, nodeOf } from "../../../support/cluster-records.js";

const running: Partial<JobRecord> = { state: "running", leader: "c1", starts: 1 };

/** A cluster without processes: what they would write is written by the test. */
function start(first: JobRecord | undefined = jobOf("a")) {
  const clock = new VirtualClock();
  const engine = new MemoryEngine(clock);
  const bus = engine.client("test");
  const news: JobNews[] = [];
  const interrupt = new AbortController();
  const put = (fields: Partial<JobRecord>): void => {
    engine.state.set(keys.job("a"), JSON.stringify({ ...(first ?? jobOf("a")), ...fields }));
  };
  if (first !== undefined) put({});
  return {
    clock,
    engine,
    news,
    put,
    interrupt,
    say: (message: string) => engine.events.append(wordOf("a"), JSON.stringify(eventOf({ message, job: "a" }))),
    beat: (name: string, beat: number, instance = `${name}-1`) => {
      const record = nodeOf(name, { role: "coordinator", beat, beatMs: 1_000, instance });
      engine.nodes.set(keys.node(name), JSON.stringify(record));
    },
    follow: (options: Partial<FollowOptions> = {}) =>
      followJob(bus, "a", { clock, signal: interrupt.signal, onNews: (item) => news.push(item), ...options }),
    told: () => news.flatMap((item) => (item.type === "told" ? [item.event.message] : [])),
    neglect: () => news.flatMap((item) => (item.type === "neglected" ? [item.reason] : [])),
  };
}

test("a job is followed to its end, and what was told before and until then is told", async () => {
  const { say, put, follow, told, news } = start();
  say("before");
  const ended = follow();
  await settle();
  put({ ...running });
  await settle();
  say("meanwhile");
  say("at the end");
  put({ ...running, state: "done" });
  expect(await ended).toMatchObject({ state: "done", leader: "c1" });
  expect(told()).toEqual(["before", "meanwhile", "at the end"]);
  expect(news.flatMap((item) => (item.type === "changed" ? [item.record.state] : []))).toEqual([
    "queued",
    "running",
    "done",
  ]);
});

test("a job that is over already comes to its end at once, with all that was told", async () => {
  const { say, follow, told } = start(jobOf("a", { state: "canceled" }));
  say("long ago");
  expect((await follow()).state).toBe("canceled");
  expect(told()).toEqual(["long ago"]);
});

test("another job's records and progress are not this one's", async () => {
  const { engine, put, follow, news } = start();
  const ended = follow();
  await settle();
  engine.state.set(keys.job("ab"), JSON.stringify(jobOf("ab", { state: "failed" })));
  await settle();
  put({ state: "done" });
  expect((await ended).id).toBe("a");
  expect(news.filter(({ type }) => type === "changed")).toHaveLength(2);
});

test("records that nobody can read are passed over", async () => {
  const { engine, put, follow } = start();
  const ended = follow();
  engine.state.set(keys.job("a"), "{");
  engine.nodes.set(keys.progress("a"), '{"units":-1}');
  await settle();
  put({ state: "done" });
  expect((await ended).state).toBe("done");
});

test("a leader that falls silent is told of once, and not while NATS is away", async () => {
  const { clock, engine, put, follow, beat, neglect, interrupt } = start();
  const ended = follow();
  put({ ...running });
  for (let second = 1; second <= 10; second++) {
    beat("c1", second);
    await clock.advance(1_000);
  }
  expect(neglect()).toEqual([]);
  engine.stop();
  await clock.advance(60_000);
  expect(neglect()).toEqual([]);
  engine.start();
  await clock.advance(20_000);
  expect(neglect()).toEqual(["Coordinator c1 is silent: there is no other one to take over"]);
  interrupt.abort(new AmalgamError("canceled", "Interrupted"));
  await expect(ended).rejects.toMatchObject({ code: "canceled" });
});

test("a record that NATS lost is waited for while the job is led, and no longer", async () => {
  const { clock, engine, put, follow, beat } = start();
  const ended = follow();
  put({ ...running });
  await settle();
  engine.wipe();
  for (let second = 1; second <= 20; second++) {
    beat("c1", second);
    await clock.advance(1_000);
  }
  let failure: AmalgamError | undefined;
  ended.catch((reason: AmalgamError) => {
    failure = reason;
  });
  await clock.advance(1_000);
  expect(failure).toBeUndefined();
  await clock.advance(30_000);
  expect(failure).toMatchObject({ code: "bus_failed" });
  expect(failure?.message).toMatch(/^NATS lost job "a" while nobody led it: submit it again/);
});

test("a record that NATS lost is not waited for when its leader was started anew", async () => {
  const { clock, engine, put, follow, beat } = start();
  const ended = follow();
  put({ ...running });
  for (let second = 1; second <= 3; second++) {
    beat("c1", second);
    await clock.advance(1_000);
  }
  engine.wipe();
  const failed = expect(ended).rejects.toMatchObject({ message: expect.stringMatching(/^NATS lost job "a"/) });
  for (let second = 1; second <= 10; second++) {
    beat("c1", second, "c1-2");
    await clock.advance(1_000);
  }
  await failed;
});

test("an interrupt ends it while NATS is away from the beginning", async () => {
  const { clock, engine, follow, interrupt, news } = start();
  engine.stop();
  const ended = expect(follow()).rejects.toMatchObject({ code: "canceled" });
  await settle();
  interrupt.abort(new AmalgamError("canceled", "Interrupted"));
  await ended;
  engine.start();
  await clock.advance(60_000);
  expect(news).toEqual([]);
});

test("it ends early when there was enough", async () => {
  const { put, follow } = start();
  const ended = follow({ isEnough: (item) => item.type === "changed" && item.record.state === "running" });
  await settle();
  put({ ...running });
  expect((await ended).state).toBe("running");
});
