import { expect, test } from "vitest";
import { readCorpus } from "./corpus.js";
import { Pool, runInput } from "./fuzzer.js";
import { createRandom } from "./mutate/random.js";
import { targets } from "./targets.js";

const mutations = 500;

test.each(targets)("$name: what fuzzing has found stays found", async (target) => {
  for (const input of target.seeds()) expect(await runInput(target, input)).toMatch(/accepted/);
  const corpus = readCorpus(target.name);
  expect(corpus.length).toBeGreaterThan(20);
  for (const input of corpus) await runInput(target, input);
});

test.each(targets)(
  `$name: ${mutations} more mutations, seed 7, are taken or refused as they must be`,
  async (target) => {
    const random = createRandom(7);
    const pool = new Pool();
    for (const input of [...target.seeds(), ...readCorpus(target.name)]) pool.add(input, await runInput(target, input));
    const seen = { accepted: 0, refused: 0 };
    for (let i = 0; i < mutations; i++) {
      const verdict = await runInput(target, pool.mutation(target, random));
      seen[verdict.includes("accepted") ? "accepted" : "refused"] += 1;
    }
    // Both must be common, or the mutations try nothing.
    expect(Math.min(seen.accepted, seen.refused)).toBeGreaterThan(mutations / 100);
  },
);
