import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ProgressMeter } from "../../../node-agent/progress-meter.js";
import type { WorkerMessage } from "../../../node-agent/worker-protocol.js";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

function start() {
  const sent: WorkerMessage[] = [];
  const meter = new ProgressMeter({ emit: (message) => sent.push(message), assertWanted: () => undefined });
  const pass = (ms: number, act: () => void): void => {
    for (let passed = 0; passed < ms; passed += 100) {
      vi.advanceTimersByTime(100);
      act();
    }
  };
  return { sent, meter, pass };
}

test("while nothing is done nothing is said, but for a server that is waited for", () => {
  const { sent, meter, pass } = start();
  pass(60_000, () => meter.lookUp());
  expect(sent).toEqual([]);
  pass(60_000, () => meter.lookUpOnServer());
  expect(sent.length).toBeGreaterThanOrEqual(5);
  expect(sent.length).toBeLessThanOrEqual(7);
  for (const message of sent) expect(message).toMatchObject({ type: "progress", bytesRead: 0, bytesWritten: 0 });
});

test("what was done is said once", () => {
  const { sent, meter, pass } = start();
  meter.read(1000);
  pass(3_000, () => meter.lookUp());
  meter.flush();
  expect(sent).toMatchObject([{ type: "progress", bytesRead: 1000, bytesWritten: 0 }]);
});
