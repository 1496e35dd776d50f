import { expect, test } from "vitest";
import { mapBounded } from "../../../../shared/checkpoint/bounded.js";
import { ByteGate } from "../../../../shared/checkpoint/byte-gate.js";

/** Lets everything that can go on go on. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test("mapBounded() keeps the order and the bound", async () => {
  let running = 0;
  let most = 0;
  const results = await mapBounded([5, 1, 4, 2, 3, 0], 2, async (item) => {
    running += 1;
    most = Math.max(most, running);
    for (let i = 0; i < item; i++) await settle();
    running -= 1;
    return item * 10;
  });
  expect(results).toEqual([50, 10, 40, 20, 30, 0]);
  expect(most).toBe(2);
  expect(await mapBounded([], 8, async () => 1)).toEqual([]);
});

test("mapBounded() throws the failure of the earliest item and starts no more after one", async () => {
  const started: number[] = [];
  const work = mapBounded([0, 1, 2, 3, 4], 2, async (item) => {
    started.push(item);
    if (item === 0) await settle();
    throw new RangeError(`item ${item}`);
  });
  await expect(work).rejects.toThrow("item 0");
  expect(started).toEqual([0, 1]);
});

test("ByteGate holds work back while the bytes under way reach its capacity", async () => {
  const gate = new ByteGate(10);
  const started: string[] = [];
  const finish = new Map<string, () => void>();
  const hold = (name: string, bytes: number): Promise<void> => {
    return gate.hold(bytes, async () => {
      started.push(name);
      await new Promise<void>((resolve) => finish.set(name, resolve));
    });
  };
  const all = [hold("a", 6), hold("b", 4), hold("c", 1), hold("huge", 99), hold("d", 1)];
  await settle();
  expect(started).toEqual(["a", "b"]);
  finish.get("a")?.();
  await settle();
  expect(started).toEqual(["a", "b", "c"]);
  finish.get("b")?.();
  finish.get("c")?.();
  await settle();
  expect(started).toEqual(["a", "b", "c", "huge"]);
  finish.get("huge")?.();
  await settle();
  finish.get("d")?.();
  await Promise.all(all);
});

test("ByteGate lets others in after work that failed", async () => {
  const gate = new ByteGate(1);
  await expect(gate.hold(1, async () => Promise.reject(new Error("failed")))).rejects.toThrow("failed");
  expect(await gate.hold(1, async () => "done")).toBe("done");
});
