import { expect, test } from "vitest";
import { ProgressReport } from "../../../../coordinator/cluster/progress-report.js";
import type { Bus } from "../../../../shared/bus/bus.js";
import type { ProgressRecord } from "../../../../shared/cluster/records.js";
import { AmalgamError } from "../../../../shared/errors.js";
import { VirtualClock } from "../../../simulation/virtual-clock.js";
import { unitsOf } from "../../../support/made-page.js";

const nothing = { units: 9, work: 9, workDone: 0, agents: 1, slots: 1, retries: 0, bytesPerSecond: 1 };
const progress = (unitsDone: number): ProgressRecord => ({ ...nothing, unitsDone });

/** An engine that takes its time over every write, or refuses it. */
function slowly(clock: VirtualClock, writeMs: number, error?: AmalgamError) {
  const written: { readonly key: string; readonly value: string }[] = [];
  const put = (key: string, value: string): Promise<number> =>
    new Promise((resolve, reject) => {
      clock.after(writeMs, () => {
        written.push({ key, value });
        if (error === undefined) resolve(written.length);
        else reject(error);
      });
    });
  return { written, bus: { nodes: { put } } as unknown as Bus };
}

test("a slow engine makes nothing queue up, and the end waits for two writes", async () => {
  const clock = new VirtualClock();
  const { bus, written } = slowly(clock, 5_000);
  const report = new ProgressReport(bus, clock, "a");
  for (let second = 0; second < 60; second += 1) {
    report.add(progress(second % 9));
    await clock.advance(1_000);
  }
  expect(written.length).toBeLessThanOrEqual(12);
  const ended = report.end();
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  await clock.advance(10_000);
  expect(isOver).toBe(true);
  expect(JSON.parse(written.at(-1)?.value ?? "")).toMatchObject({ unitsDone: 59 % 9 });
});

test.each(["bus_failed", "usage"] as const)("that it cannot be told, with %s, fails nothing", async (code) => {
  const clock = new VirtualClock();
  const { bus } = slowly(clock, 0, new AmalgamError(code, "Cannot write"));
  const report = new ProgressReport(bus, clock, "a");
  report.add(progress(1));
  await clock.advance(100);
  report.add(progress(2));
  const ended = report.end();
  await clock.advance(100);
  await expect(ended).resolves.toBeUndefined();
});

test("work that stands still is told until its throughput is zero", async () => {
  const clock = new VirtualClock();
  const { bus, written } = slowly(clock, 1);
  const report = new ProgressReport(bus, clock, "a");
  const units = unitsOf({ units: 9, done: 0.5, agents: ["one"] });
  report.add(progress(1), () => ({ ...units, bytesPerSecond: clock.now() < 3_500 ? 7 : 0 }));
  await clock.advance(20_000);
  const rates = written.filter(({ key }) => key === "units.a").map(({ value }) => JSON.parse(value).bytesPerSecond);
  expect(rates).toEqual([7, 7, 7, 7, 0]);
});
