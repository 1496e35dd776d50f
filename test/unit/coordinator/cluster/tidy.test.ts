import { expect, test } from "vitest";
import { endedLongAgo, notShown, SilentRecords, tidy } from "../../../../coordinator/cluster/tidy.js";
import { keys } from "../../../../shared/cluster/records.js";
import { noLog } from "../../../../shared/log/log.js";
import { MemoryEngine } from "../../../simulation/memory-bus.js";
import { VirtualClock } from "../../../simulation/virtual-clock.js";

const minute = 60_000;
const entry = (key: string, revision: number) => ({ key, revision, value: "" });

test("a record that stands still for ten minutes is silent, one that changes is not", () => {
  const silent = new SilentRecords();
  for (let at = 0; at <= 10; at += 1) {
    expect(silent.look([entry("nodes.dead", 7), entry("nodes.alive", at)], at * minute)).toEqual([]);
  }
  expect(silent.look([entry("nodes.dead", 7), entry("nodes.alive", 11)], 11 * minute)).toEqual(["nodes.dead"]);
});

test("keys that are nobody's are left alone", () => {
  const silent = new SilentRecords();
  for (let at = 0; at <= 20; at += 1) expect(silent.look([entry("nodes.gpu=3", 7)], at * minute)).toEqual([]);
});

test("a reader that was frozen gives everybody the whole time again", () => {
  const silent = new SilentRecords();
  silent.look([entry("nodes.a", 7)], 0);
  expect(silent.look([entry("nodes.a", 7)], 60 * minute)).toEqual([]);
  expect(silent.look([entry("nodes.a", 7)], 61 * minute)).toEqual([]);
});

function job(id: string, state: string, endedAt?: string): string {
  const request = { recipe: { text: "", file: "r" }, output: "/o", assembly: "auto", shardBytes: 1, overwrite: false };
  const base = { id, request, state, cancel: false, starts: 1, submittedBy: "a", submittedAt: "2026-01-01T00:00:00Z" };
  return JSON.stringify(endedAt === undefined ? base : { ...base, endedAt });
}

test("only jobs that ended long ago are forgotten", () => {
  const entries = [
    { key: "jobs.a", revision: 1, value: job("a", "done", "2026-01-01T00:00:00Z") },
    { key: "jobs.b", revision: 2, value: job("b", "failed", "2026-01-30T00:00:00Z") },
    { key: "jobs.c", revision: 3, value: job("c", "running") },
    { key: "jobs.d", revision: 4, value: "no record" },
  ];
  expect(endedLongAgo(entries, new Date("2026-02-01T00:00:00Z"))).toEqual(["a"]);
});

test("what was shown of units goes an hour after their job, or with it", () => {
  const now = new Date("2026-02-01T12:00:00Z");
  const jobs = [
    { key: "jobs.old", revision: 1, value: job("old", "done", "2026-02-01T10:00:00Z") },
    { key: "jobs.new", revision: 2, value: job("new", "failed", "2026-02-01T11:30:00Z") },
    { key: "jobs.led", revision: 3, value: job("led", "running") },
  ];
  const units = ["old", "new", "led", "lost"].map((id) => entry(`units.${id}`, 1));
  expect(notShown(units, jobs, now)).toEqual(["units.old", "units.lost"]);
});

test("tidy() removes them from the engine, lease included, and outlives its absence", async () => {
  const clock = new VirtualClock();
  const engine = new MemoryEngine(clock);
  const bus = engine.client("coordinator");
  await bus.state.create(keys.job("a"), job("a", "done", "2026-01-01T00:00:00Z"));
  await bus.state.create(keys.lease("a"), "{}");
  await bus.state.create(keys.job("c"), job("c", "running"));
  await bus.nodes.put(keys.node("dead"), "{}");
  const over = new AbortController();
  const tidying = tidy(
    bus,
    { clock, random: () => 0.5, date: () => new Date("2026-02-01T00:00:00Z"), log: noLog },
    over.signal,
  );
  engine.stop();
  await clock.advance(3 * minute);
  engine.start();
  for (const id of ["a", "c"]) await bus.nodes.put(keys.progress(id), "{}");
  await clock.advance(15 * minute);
  const left = await Promise.all(
    [keys.job("a"), keys.lease("a"), keys.job("c")].map(async (key) => (await bus.state.get(key)) !== undefined),
  );
  expect(left).toEqual([false, false, true]);
  expect(await bus.nodes.get(keys.node("dead"))).toBeUndefined();
  expect((await bus.nodes.entries("progress.")).map(({ key }) => key)).toEqual(["progress.c"]);
  over.abort();
  await clock.advance(1);
  await tidying;
});
