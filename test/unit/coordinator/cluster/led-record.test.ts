import { expect, test } from "vitest";
import { LedRecord, reconcile } from "../../../../coordinator/cluster/led-record.js";
import { keys } from "../../../../shared/cluster/records.js";
import { MemoryEngine } from "../../../simulation/memory-bus.js";
import { VirtualClock } from "../../../simulation/virtual-clock.js";
import { jobRecordOf } from "./records.js";

const ours = jobRecordOf({ state: "running", starts: 3, leader: "one" });
const done = { ...ours, state: "done" as const, endedAt: "2026-01-01T00:01:00Z" };

test.each([
  ["what the engine lost is written again", ours, undefined, ours],
  ["what is there is left", ours, { ...ours }, "same"],
  ["a state that is not told yet is written", ours, { ...ours, state: "planning" as const }, ours],
  ["old data, from before this lead, is written over", ours, jobRecordOf({ starts: 2, leader: "two" }), ours],
  ["a wish to cancel is kept", ours, { ...ours, state: "planning" as const, cancel: true }, { ...ours, cancel: true }],
  ["what a leader of before counts as well started is kept", ours, { ...ours, startsWell: 2 }, "same"],
  ["a later start is another leader's", ours, { ...ours, starts: 4, leader: "two" }, "fenced"],
  ["the same start of another is another leader's", ours, { ...ours, leader: "two" }, "fenced"],
  ["an end that we did not write stands", ours, { ...ours, state: "failed" as const }, "fenced"],
  ["so does one from before", ours, jobRecordOf({ state: "done", starts: 2, leader: "two" }), "fenced"],
  ["our end whose answer was lost is written", done, { ...done }, "same"],
] as const)("%s", (_, wanted, found, result) => {
  expect(reconcile(wanted, found)).toEqual(result);
});

test("a leader that was replaced between reading and writing is refused, and told so", async () => {
  const engine = new MemoryEngine(new VirtualClock());
  const led = new LedRecord(engine.client("one"), ours);
  await led.tell();
  led.edit(() => done);
  const late = led.tellAfter(async () => {
    engine.state.set(keys.job("job"), JSON.stringify({ ...ours, starts: 4, leader: "two" }));
  });
  await expect(late).rejects.toThrow(
    'does not lead job "job" any more: coordinator "two" does, since start 4, this was 3',
  );
  expect(engine.state.get(keys.job("job"))?.value).toContain('"starts":4');
});

test("what is told while nothing is answered is told once, as it is then", async () => {
  const clock = new VirtualClock();
  const engine = new MemoryEngine(clock, { before: () => 100 });
  const led = new LedRecord(engine.client("one"), ours);
  const tellings = [led.tell()];
  for (const reason of ["a", "b", "c"]) {
    led.edit((record) => ({ ...record, state: "waiting", reason }));
    tellings.push(led.tell());
  }
  await clock.advance(1_000);
  await Promise.all(tellings);
  expect(engine.state.get(keys.job("job"))?.value).toContain('"reason":"c"');
  expect(engine.state.get(keys.job("job"))?.revision).toBeLessThanOrEqual(2);
});
