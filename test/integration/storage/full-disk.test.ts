import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { commit } from "../../../coordinator/assemble/commit.js";
import type { Plan } from "../../../coordinator/plan/types.js";
import {
  completeStaging,
  hashDirectory,
  makePlan,
  missingPieces,
  testRecipe,
  writePieces,
} from "../../support/plans.js";
import { fill, noSmallDisk as reason, withSmallDisk } from "../../support/small-disk.js";
import { openStaging } from "../../support/staging.js";

const options = { version: "1" };

async function merge(plan: Plan, output: string): Promise<Record<string, string>> {
  await using staging = await openStaging(plan, output, options);
  await completeStaging(staging, 40);
  await commit(staging, { recipeText: testRecipe });
  return await hashDirectory(output);
}

test("A disk that fills up while data is written fails the job, and what was journaled is there when there is room", async ({
  skip,
}) => {
  await using disk = (await withSmallDisk()) ?? skip(reason);
  const plan = await makePlan(disk.path, { files: [[["one", "BF16", [1000, 1000]]]] });
  const output = join(disk.path, "out");
  let kept = 0;
  {
    await using staging = await openStaging(plan, output, options);
    for (const piece of missingPieces(staging, 100_000).slice(0, 4)) {
      await staging.accept(await writePieces(staging, [piece]), { unit: 0, epoch: 1, agent: "test" });
      kept += 1;
    }
    const giveBack = await fill(disk.path);
    await expect(completeStaging(staging, 100_000)).rejects.toMatchObject({
      code: "out_of_space",
      message: expect.stringContaining("Cannot write"),
    });
    await giveBack();
  }
  await using staging = await openStaging(plan, output, options);
  expect(staging.resumed).toMatchObject({ keptPieces: kept, redonePieces: 0 });
  await completeStaging(staging, 100_000);
  await commit(staging, { recipeText: testRecipe });
  expect((await readdir(disk.path)).sort()).toEqual(["a", "b", "out"]);
});

test("A disk that fills up while the journal is written fails the job, which goes on when there is room", async ({
  skip,
}) => {
  await using disk = (await withSmallDisk()) ?? skip(reason);
  const plan = await makePlan(disk.path, { files: [[["one", "BF16", [1000]]]] });
  const output = join(disk.path, "out");
  {
    await using staging = await openStaging(plan, output, options);
    // The bytes find room that they have already; the records do not.
    await writePieces(staging, missingPieces(staging, 10));
    const giveBack = await fill(disk.path);
    await expect(completeStaging(staging, 10)).rejects.toMatchObject({
      code: "out_of_space",
      message: expect.stringContaining("Cannot write journal"),
    });
    await giveBack();
  }
  const golden = await merge(plan, join(disk.path, "golden"));
  await using staging = await openStaging(plan, output, options);
  expect(staging.resumed.keptPieces).toBeGreaterThan(0);
  await completeStaging(staging, 10);
  await commit(staging, { recipeText: testRecipe });
  expect(await hashDirectory(output)).toEqual(golden);
});

test("A disk that fills up during the commit leaves no output, and the same again makes it", async ({ skip }) => {
  await using disk = (await withSmallDisk()) ?? skip(reason);
  const plan = await makePlan(disk.path);
  const output = join(disk.path, "out");
  {
    await using staging = await openStaging(plan, output, options);
    await completeStaging(staging, 100);
    const giveBack = await fill(disk.path);
    await expect(commit(staging, { recipeText: testRecipe })).rejects.toMatchObject({ code: "out_of_space" });
    expect(await readdir(disk.path)).not.toContain("out");
    await giveBack();
  }
  await using staging = await openStaging(plan, output, options);
  expect(staging.resumed).toMatchObject({ keptPieces: 12, redonePieces: 0 });
  await commit(staging, { recipeText: testRecipe });
});

test("A disk without room for the output and a twentieth more is refused before anything is written", async ({
  skip,
}) => {
  await using disk = (await withSmallDisk()) ?? skip(reason);
  const plan = await makePlan(disk.path, { files: [[["one", "BF16", [4_300_000]]]] });
  await expect(openStaging(plan, join(disk.path, "out"), options)).rejects.toMatchObject({
    code: "out_of_space",
    message: expect.stringMatching(/it needs [\d.]+ MB more and .* has [\d.]+ MB free$/),
    details: { neededBytes: expect.any(String), freeBytes: expect.any(String) },
  });
  expect((await readdir(disk.path)).sort()).toEqual(["a", "b"]);
});
