import { expect, test } from "vitest";
import { findingOf, LeaseWatch, nobody, type SeenLease } from "../../../../coordinator/cluster/lease-state.js";

const ttlMs = 5_000;

function lease(instance: string, epoch: number, beat: number): SeenLease {
  return { record: { holder: "one", instance, epoch, beat, ttlMs }, revision: beat };
}

test.each([
  ["what the engine forgot is taken back", undefined, "take back"],
  ["its own is renewed, though an answer was lost", lease("mine", 3, 8), "renew"],
  ["its own from before the engine's data was restored too", lease("mine", 2, 1), "renew"],
  ["a newer holder's is lost", lease("other", 4, 1), "lost"],
  ["one of the same epoch is lost: somebody else took it when nobody had it", lease("other", 3, 1), "lost"],
  ["an older holder's is old data", lease("other", 2, 9), "take back"],
  ["one that a newer holder gave up is lost", lease(nobody, 4, 1), "lost"],
  ["one that was given up before we took it is old data", lease(nobody, 2, 1), "take back"],
] as const)("a holder finds: %s", (_, found, finding) => {
  expect(findingOf({ instance: "mine", epoch: 3 }, found)).toBe(finding);
});

test("a lease that nobody had, or that was given up, is free at once", () => {
  expect(new LeaseWatch().look(undefined, 0)).toBe("free");
  expect(new LeaseWatch().look(lease(nobody, 3, 4), 0)).toBe("free");
});

test("a lease is free when its beat stood still for its time to live, watched all the while", () => {
  const watch = new LeaseWatch();
  for (let ms = 0; ms < ttlMs; ms += 1_000) expect(watch.look(lease("other", 1, 7), ms)).toBe("held");
  expect(watch.look(lease("other", 1, 7), ttlMs)).toBe("free");
  expect(watch.nextEpoch).toBe(2);
});

test.each([
  ["beats", lease("other", 1, 8)],
  ["changes hands", lease("third", 2, 7)],
])("a lease that %s is held for its whole time again", (_, changed) => {
  const watch = new LeaseWatch();
  for (let ms = 0; ms < ttlMs; ms += 1_000) watch.look(lease("other", 1, 7), ms);
  expect(watch.look(changed, ttlMs)).toBe("held");
  expect(watch.look(changed, ttlMs + 2_000)).toBe("held");
});

test("a watcher that could not look for a while does not take the silence for the holder's", () => {
  const watch = new LeaseWatch();
  watch.look(lease("other", 1, 7), 0);
  expect(watch.look(lease("other", 1, 7), 60_000)).toBe("held");
  for (let ms = 61_000; ms < 65_000; ms += 1_000) expect(watch.look(lease("other", 1, 7), ms)).toBe("held");
  expect(watch.look(lease("other", 1, 7), 65_000)).toBe("free");
});

test("a lease that vanished leaves its holder the time to take it back", () => {
  const watch = new LeaseWatch();
  watch.look(lease("other", 4, 7), 0);
  expect(watch.look(undefined, 1_000)).toBe("held");
  for (let ms = 2_000; ms < 6_000; ms += 1_000) expect(watch.look(undefined, ms)).toBe("held");
  expect(watch.look(undefined, 6_000)).toBe("free");
  expect(watch.nextEpoch).toBe(5);
  expect(new LeaseWatch().look(undefined, 0, true)).toBe("held");
});
