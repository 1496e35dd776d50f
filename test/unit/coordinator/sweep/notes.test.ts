import { expect, test } from "vitest";
import { Notes } from "../../../../coordinator/sweep/notes.js";

test("notes that differ in numbers are one, with how many there were", () => {
  const notes = new Notes();
  const told = [3, 17, 17, 40].map((trial) => notes.add(`1 of 1 trials failed; the first, trial ${trial}: no room`));
  notes.add("Ended: losses no longer differ");
  expect(told).toEqual([true, true, false, true]);
  expect(notes.all).toEqual([
    "1 of 1 trials failed; the first, trial 3: no room (and 2 more like it)",
    "Ended: losses no longer differ",
  ]);
});

test("however many kinds there are, few are kept", () => {
  const notes = new Notes();
  for (let i = 0; i < 1000; i += 1) notes.add(`${"x".repeat(i)} stays`);
  expect(notes.all).toHaveLength(51);
  expect(notes.all.at(-1)).toBe("and 950 other notes");
});
