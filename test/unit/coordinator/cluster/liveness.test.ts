import { expect, test } from "vitest";
import { Liveness } from "../../../../coordinator/cluster/liveness.js";
import type { NodeRecord } from "../../../../shared/cluster/records.js";
import { nodeRecordOf } from "./records.js";

const namesOf = (liveness: Liveness): readonly string[] => liveness.alive.map(({ record }) => record.name);

/** Lets time pass in steps that a watching reader takes. */
function pass(liveness: Liveness, fromMs: number, toMs: number, isHearing = true): readonly string[] {
  const gone: string[] = [];
  for (let ms = fromMs + 500; ms <= toMs; ms += 500) {
    gone.push(...liveness.look(ms, isHearing).map(({ record }) => record.name));
  }
  return gone;
}

test("a record alone is no sign of life, a second beat is", () => {
  const liveness = new Liveness(0, 2_000);
  expect(liveness.hear(nodeRecordOf("a", { beat: 7 }))).toBe(false);
  expect(liveness.hear(nodeRecordOf("a", { beat: 7 }))).toBe(false);
  expect(namesOf(liveness)).toEqual([]);
  expect(liveness.hear(nodeRecordOf("a", { beat: 8 }))).toBe(true);
  expect(namesOf(liveness)).toEqual(["a"]);
});

test("a node that is silent for four beats is gone", () => {
  const liveness = new Liveness(0, 2_000);
  liveness.hear(nodeRecordOf("a", { beat: 1 }));
  liveness.hear(nodeRecordOf("a", { beat: 2 }));
  expect(pass(liveness, 0, 4_000)).toEqual([]);
  expect(pass(liveness, 4_000, 5_000)).toEqual(["a"]);
  expect(namesOf(liveness)).toEqual([]);
});

test.each([
  ["the engine was out of reach", (liveness: Liveness) => pass(liveness, 3_000, 60_000, false)],
  ["the reader was stopped", (liveness: Liveness) => liveness.look(60_000, true)],
])("after a time in which %s, everybody gets the whole patience again", (_, absence) => {
  const liveness = new Liveness(0, 2_000);
  liveness.hear(nodeRecordOf("a", { beat: 1 }));
  liveness.hear(nodeRecordOf("a", { beat: 2 }));
  pass(liveness, 0, 3_000);
  expect(absence(liveness)).toEqual([]);
  expect(pass(liveness, 60_000, 64_000)).toEqual([]);
  expect(pass(liveness, 64_000, 65_000)).toEqual(["a"]);
});

test("only what matters to others counts as a change", () => {
  const liveness = new Liveness(0, 2_000);
  liveness.hear(nodeRecordOf("a", { beat: 1 }));
  liveness.hear(nodeRecordOf("a", { beat: 2 }));
  expect(liveness.hear(nodeRecordOf("a", { beat: 3, running: 2 }))).toBe(false);
  expect(liveness.hear(nodeRecordOf("a", { beat: 4, state: "draining" }))).toBe(true);
  const lists = (): Partial<NodeRecord> => ({ state: "draining", roots: ["/models"], devices: ["cuda", "cpu"] });
  expect(liveness.hear(nodeRecordOf("a", { beat: 5, ...lists() }))).toBe(true);
  expect(liveness.hear(nodeRecordOf("a", { beat: 6, ...lists() }))).toBe(false);
  expect(liveness.hear(nodeRecordOf("a", { beat: 7, ...lists(), devices: ["cpu"] }))).toBe(true);
  expect(liveness.hear(nodeRecordOf("a", { beat: 1, instance: "a#2" }))).toBe(true);
  expect(liveness.alive[0]?.record.instance).toBe("a#2");
});

test("a node that says it beats once a year is not waited for that long", () => {
  const liveness = new Liveness(0, 2_000);
  liveness.hear(nodeRecordOf("a", { beat: 1, beatMs: 1e12 }));
  liveness.hear(nodeRecordOf("a", { beat: 2, beatMs: 1e12 }));
  expect(pass(liveness, 0, 300_000)).toEqual(["a"]);
});
