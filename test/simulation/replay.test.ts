import { expect, test } from "vitest";
import type { Bugs } from "./bugs.js";
import { simulate } from "./simulate.js";

test.each([3, 26, 47, 304])("seed %i takes the same course every time", async (seed) => {
  const first = await simulate(seed);
  const second = await simulate(seed);
  expect(first.trace.length).toBeGreaterThan(3);
  expect(second).toEqual(first);
});

test("another seed takes another course", async () => {
  expect((await simulate(1)).trace).not.toEqual((await simulate(2)).trace);
});

/** `from`: where to begin to look. It takes two leaders that meet on an agent to find the first one, which is rare. */
const bugs: readonly (readonly [what: string, bugs: Bugs, from: number, sign: RegExp])[] = [
  ["agents that obey deposed leaders", { agentsIgnoreFences: true }, 1_000, /works for leader \d+, after/],
  ["a leader that shows whatever is staged", { publishesWithoutFence: true }, 1, /./],
  ["pieces that count before the journal is synced", { acceptsBeforeSync: true }, 1, /accepted are not in the journal/],
  ["staged bytes that are not read again", { trustsStagedBytes: true }, 1, /Block \d+ of the output is/],
];

test.each(bugs)("%s are found within 400 seeds", async (_, switchedOn, from, sign) => {
  const found = await firstViolation(switchedOn, from, 400);
  expect(found).toMatch(sign);
  // With the same seed, and without the mistake, all is well.
});

async function firstViolation(switchedOn: Bugs, from: number, seeds: number): Promise<string | undefined> {
  for (let seed = from; seed < from + seeds; seed += 1) {
    const { violations } = await simulate(seed, switchedOn);
    if (violations.length === 0) continue;
    // It is the mistake that was found, and not the seed.
    expect((await simulate(seed)).violations).toEqual([]);
    return violations.join("; ");
  }
  return undefined;
}
