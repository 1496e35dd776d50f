import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RunningAgent, runAgent } from "../../../node-agent/main.js";
import { randomTensor, writeCheckpoint } from "../../support/checkpoints.js";
import { startAmalgam, withoutProgress, withWorkplace } from "../../support/command.js";
import { mergeLocally } from "../../support/merges.js";
import { recipeFor } from "../../support/planning.js";
import { hashDirectory } from "../../support/plans.js";
import { smallRecipes, writeSmallModels } from "../../support/small-models.js";

// Where an output may go, and what happens to what is there already.

/** All but the first merge share it, since starting one takes longer than these merges. */
let agent: RunningAgent;
beforeAll(async () => {
  agent = await runAgent({ roots: [tmpdir()], slots: 1, name: "local-1" });
});
afterAll(() => agent.close());

async function startWork() {
  const work = await withWorkplace();
  await writeSmallModels(work.path);
  await work.write("linear.yaml", smallRecipes.linear);
  await work.write("ties.yaml", smallRecipes.ties);
  /** What is said besides the plan's summary. */
  const merge = async (recipe: string, output: string, ...options: readonly string[]) => {
    const words = ["--agent", agent.address, ...options];
    const { code, stdout, stderr } = await work.run("merge", work.at(recipe), work.at(output), ...words);
    return { code, stdout, said: withoutProgress(stderr).split("\n").slice(1).join("\n") };
  };
  return { ...work, merge };
}

test("a merge makes a folder that loads, and says so in one line", async () => {
  await using work = await startWork();
  const { code, stdout, stderr } = await work.run("merge", work.at("linear.yaml"), work.at("out"));
  expect(code).toBe(0);
  expect(stdout).toMatch(/^out: model\.safetensors, \d+ B, in \d+\.\d s \(read 144 B, wrote 72 B, .*\)\n$/);
  expect(withoutProgress(stderr)).toBe("linear of 2 models, 2 tensors\n1 unit on local-1\n");
  expect((await readdir(work.at("out"))).sort()).toEqual([
    "README.md",
    "amalgam.json",
    "config.json",
    "model.safetensors",
  ]);
  expect((await readdir(work.path)).filter((name) => name.includes("partial"))).toEqual([]);
});

test("an output that is complete is left alone, and that is a success", async () => {
  await using work = await startWork();
  await work.merge("linear.yaml", "out");
  const before = await hashDirectory(work.at("out"));
  const again = await work.merge("linear.yaml", "out");
  expect([again.code, again.stdout]).toEqual([0, "out holds this merge already, complete\n"]);
  const events = await work.merge("linear.yaml", "out", "--json");
  expect(JSON.parse(events.stdout.trim().split("\n").at(-1) ?? "")).toMatchObject({
    event: "done",
    alreadyComplete: true,
  });
  expect(await hashDirectory(work.at("out"))).toEqual(before);
});

test("another recipe's output is refused, and replaced only when that is asked for", async () => {
  await using work = await startWork();
  await work.merge("linear.yaml", "out");
  const before = await hashDirectory(work.at("out"));
  const refused = await work.merge("ties.yaml", "out");
  expect([refused.code, refused.said]).toEqual([
    2,
    'Cannot write to "out": it holds the output of another recipe or source, choose another path or replace it with --overwrite\n',
  ]);
  expect(await hashDirectory(work.at("out"))).toEqual(before);
  expect((await work.merge("ties.yaml", "out", "--overwrite")).code).toBe(0);
  await work.merge("ties.yaml", "fresh");
  expect(await hashDirectory(work.at("out"))).toEqual(await hashDirectory(work.at("fresh")));
});

test.each([
  ["out", "it is not empty and Amalgam did not write it, choose another path or empty it yourself"],
  ["notes.txt", "it is a file, and the output is a directory"],
  ["math", 'it is the directory of source model "math", choose a path outside it'],
  ["math/out", 'it lies within the directory of source model "math", choose a path outside it'],
  [".", 'it contains source model "math", choose a path outside it'],
])("an output at %s is refused whatever the options, and nothing is touched", async (output, problem) => {
  await using work = await startWork();
  await mkdir(work.at("out"));
  await writeFile(work.at("out", "thesis.tex"), "years of work");
  await writeFile(work.at("notes.txt"), "mine");
  const listing = async () => (await readdir(work.path, { recursive: true })).sort();
  const before = await listing();
  for (const options of [[], ["--overwrite"]]) {
    const { code, stdout, said } = await work.merge("linear.yaml", output, ...options);
    expect([code, stdout, said]).toEqual([2, "", `Cannot write to "${output}": ${problem}\n`]);
  }
  expect(await listing()).toEqual(before);
  expect(await readFile(work.at("out", "thesis.tex"), "utf8")).toBe("years of work");
});

test("an empty folder and folders that are missing above it are fine", async () => {
  await using work = await startWork();
  await mkdir(work.at("empty"));
  expect((await work.merge("linear.yaml", "empty")).code).toBe(0);
  expect((await work.merge("linear.yaml", "some/where/else")).code).toBe(0);
  expect(await hashDirectory(work.at("empty"))).toEqual(await hashDirectory(work.at("some/where/else")));
});

/** Does all of a merge but the commit, so that unfinished work lies beside the output. */
async function leaveUnfinished(recipe: string, output: string): Promise<void> {
  const stop = new Error("Stopped by the test");
  const merging = mergeLocally(recipe, output, {
    addresses: [agent.address],
    onEvent: ({ type }) => {
      if (type === "committing") throw stop;
    },
  });
  await expect(merging).rejects.toBe(stop);
}

test("unfinished work of another recipe is kept until it is given up", async () => {
  await using work = await startWork();
  await leaveUnfinished(work.at("linear.yaml"), work.at("out"));
  const refused = await work.merge("ties.yaml", "out");
  expect([refused.code, refused.said]).toEqual([
    2,
    'Cannot use staging directory "out.amalgam-partial": it belongs to another recipe or to other source models, finish that job first or discard its work with --overwrite\n',
  ]);
  expect((await work.merge("ties.yaml", "out", "--overwrite")).code).toBe(0);
  expect(existsSync(work.at("out.amalgam-partial"))).toBe(false);
});

test("unfinished work is not gone on with when a source was edited in place meanwhile", async () => {
  await using work = await startWork();
  await leaveUnfinished(work.at("linear.yaml"), work.at("out"));
  await utimes(work.at("math", "model.safetensors"), 1, 1);
  const refused = await work.merge("linear.yaml", "out");
  expect([refused.code, refused.said]).toEqual([
    2,
    'Cannot use staging directory "out.amalgam-partial": source "model.safetensors" of "math" was modified since, finish that job first or discard its work with --overwrite\n',
  ]);
});

test("unfinished work is gone on with, and that is said", async () => {
  await using work = await startWork();
  await leaveUnfinished(work.at("linear.yaml"), work.at("out"));
  const { code, stdout, said } = await work.merge("linear.yaml", "out");
  expect([code, said]).toEqual([0, "resuming: 2 pieces in place (72 B)\n0 units on local-1\n"]);
  expect(stdout).toContain("read 0 B, wrote 0 B");
  await work.merge("linear.yaml", "fresh");
  expect(await hashDirectory(work.at("out"))).toEqual(await hashDirectory(work.at("fresh")));
});

test("of two coordinators on one output the second is refused while the first is at work", async () => {
  await using work = await startWork();
  for (const [seed, name] of ["x", "y"].entries()) {
    await writeCheckpoint(work.at(name), { w: randomTensor(seed, [1024, 1024], "BF16") });
  }
  const recipe = await work.write("large.yaml", recipeFor("linear", ["x", "y"], { each: "weight: 1" }));
  await using first = startAmalgam(["merge", recipe, work.at("out"), "--json", "--unit-size", "64KiB"]);
  await first.event("started");
  // Frozen, it cannot finish before the second one has looked.
  first.child.kill("SIGSTOP");
  const second = await work.merge("large.yaml", "out");
  expect(second.code).toBe(2);
  expect(second.said).toMatch(
    new RegExp(
      `^Cannot lock "out.amalgam-partial/lock": process ${first.pid} on ".*" is merging into the same output, wait for it or stop it\n$`,
    ),
  );
  first.child.kill("SIGCONT");
  expect((await first.ended).code).toBe(0);
  expect((await work.merge("large.yaml", "out")).stdout).toBe("out holds this merge already, complete\n");
});
