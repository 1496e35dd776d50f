import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { maxMissedBeats, Pulse } from "../../../../coordinator/assemble/pulse.js";

async function beat(pulse: Pulse, times: number): Promise<void> {
  for (let i = 0; i < times; i += 1) {
    pulse.beat();
    await nextTurn();
  }
}

test.each([
  ["never comes back", () => new Promise<void>(() => undefined)],
  ["fails", () => Promise.reject(new Error("EIO"))],
])("a storage that %s is noticed, once", async (_, show) => {
  let silences = 0;
  const pulse = new Pulse(show, () => {
    silences += 1;
  });
  await beat(pulse, maxMissedBeats - 1);
  expect(silences).toBe(0);
  await beat(pulse, maxMissedBeats);
  expect(silences).toBe(1);
});

test("one that hangs is asked once at a time, and one beat that comes through ends the silence", async () => {
  const waiting: (() => void)[] = [];
  let silences = 0;
  const pulse = new Pulse(
    () => new Promise((resolve) => waiting.push(resolve)),
    () => {
      silences += 1;
    },
  );
  await beat(pulse, maxMissedBeats - 1);
  expect(waiting).toHaveLength(1);
  waiting[0]?.();
  await nextTurn();
  await beat(pulse, maxMissedBeats - 1);
  expect(silences).toBe(0);
  expect(waiting).toHaveLength(2);
});
