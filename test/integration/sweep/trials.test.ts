import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ExampleRecord } from "../../../coordinator/evaluate/types.js";
import { type RunningAgent, runAgent } from "../../../node-agent/main.js";
import { withTempDir } from "../../support/checkpoints.js";
import { mergeLocally } from "../../support/merges.js";
import { evaluateLocally } from "../evaluate/models.js";
import { digits, type MadeSweep, openRunner, tiesAt, tryRecipe } from "./made-sweeps.js";

// A trial says of a merge what a merge to disk and an evaluation of it say, bit for bit, whoever runs it.

const limit = 40;
const memoryBytes = 64e6;

let folder: Awaited<ReturnType<typeof withTempDir>>;
let agent: RunningAgent;

beforeAll(async () => {
  folder = await withTempDir();
  const roots = [digits, folder.path];
  agent = await runAgent({ roots, name: "one", slots: 1, evalThreads: 1, trialMemoryBytes: memoryBytes });
});
afterAll(async () => {
  await agent.close();
  await folder[Symbol.asyncDispose]();
});

/** A runner with the one agent that these tests share. */
function onOne(sweep: MadeSweep = {}) {
  return openRunner(sweep, { agents: { kind: "running", addresses: [agent.address] } });
}

/** The same without trials: by task. */
async function mergedAndEvaluated(recipe: string): Promise<readonly (readonly ExampleRecord[])[]> {
  const [file, output] = [join(folder.path, "recipe.yaml"), join(folder.path, "out")];
  await writeFile(file, recipe);
  await mergeLocally(file, output, { addresses: [agent.address] });
  const { models } = await evaluateLocally(join(digits, "tasks.yaml"), [output], {
    ...{ tasks: ["rotated", "inverted"], limit },
    agents: { kind: "running", addresses: [agent.address] },
  });
  return models[0]?.tasks.map(({ records }) => records) ?? [];
}

test("a trial's records are those of a merge to disk and its evaluation, on one agent or two", async () => {
  const recipes = [tiesAt({}), tiesAt({ weight: 0.4 }), tiesAt({ weight: 0.4, density: 0.2 })];
  const golden = await mergedAndEvaluated(recipes[1] ?? "");
  await using alone = await onOne();
  await using two = await openRunner({}, { count: 2 });
  expect([alone.agents.length, two.agents.length]).toEqual([1, 2]);
  // One after the other, so that statistics of the first serve the second; and all at once, so that they cannot.
  const inTurn = [];
  for (const recipe of recipes) inTurn.push(await tryRecipe(alone, recipe));
  const atOnce = await Promise.all(recipes.map((recipe) => tryRecipe(two, recipe)));
  expect(inTurn[1]?.segments.map(({ records }) => records)).toEqual(golden);
  expect(atOnce.map(({ segments }) => segments)).toEqual(inTurn.map(({ segments }) => segments));
  expect(inTurn[0]?.segments).not.toEqual(inTurn[1]?.segments);
  const { facts } = inTurn[1] ?? {};
  expect(facts).toMatchObject({ agent: "one", provider: "cpu", attempts: 1, budgetBytes: memoryBytes });
  expect(facts?.peakBytes).toBeGreaterThan(0);
  expect(facts?.peakBytes).toBeLessThanOrEqual(memoryBytes);
});

test("rungs and what is held out make up the whole, each example once, and scores are those of the whole", async () => {
  await using whole = await onOne();
  await using parts = await onOne({ tasks: { holdOut: 0.25, rungs: [6, 0.5], shuffle: true }, seed: 3 });
  expect(parts.tasks.map(({ name, rungs, heldOut, metric }) => [name, rungs, heldOut, metric])).toEqual([
    ["rotated", [6, 15, 30], 10, "acc"],
    ["inverted", [6, 15, 30], 10, "acc"],
  ]);
  const recipe = tiesAt({ weight: 0.7 });
  // Of shuffled rows others are taken than the first.
  const all = await tryRecipe(parts, recipe);
  const [first, second] = [await parts.plan(recipe), await parts.plan(tiesAt({ weight: 0.8 }))];
  expect(first.segments.map(({ part, examples }) => [part, examples])).toEqual([
    ...[0, 1].flatMap(() => [
      [0, 6],
      [1, 9],
      [2, 15],
      ["held out", 10],
    ]),
  ]);
  const keys = [...first.segments, ...second.segments].map(({ key }) => key);
  expect(new Set(keys).size).toBe(16);
  for (const task of ["rotated", "inverted"]) {
    const own = all.segments.filter(({ segment }) => segment.task === task);
    const ids = own.flatMap(({ records }) => records.map(({ id }) => id));
    expect([ids.length, new Set(ids).size]).toEqual([limit, limit]);
    expect(ids.some((id) => Number(id) >= limit)).toBe(true);
  }
  // In order, the parts are the whole: which batch an example is in changes no bit of a picture's scores here.
  await using ordered = await onOne({ tasks: { holdOut: 0.25, rungs: [6] } });
  const cut = await tryRecipe(ordered, recipe);
  const golden = await tryRecipe(whole, recipe);
  const ids = cut.segments.filter(({ segment }) => segment.task === "rotated").flatMap(({ records }) => records);
  expect(ids.map(({ id, prediction }) => [id, prediction])).toEqual(
    golden.segments[0]?.records.map(({ id, prediction }) => [id, prediction]),
  );
});

test("answers are the logits of all examples, in order, with their classes", async () => {
  await using runner = await onOne();
  const { segments } = await tryRecipe(runner, tiesAt({}), { answers: true });
  for (const { records, answers } of segments) {
    expect(answers?.values.length).toBe(limit * (answers?.width ?? 0));
    const predicted = records.map((_, i) => {
      const row = answers?.values.subarray(i * answers.width, (i + 1) * answers.width) ?? new Float32Array();
      return String(row.indexOf(Math.max(...row)));
    });
    expect(predicted).toEqual(records.map(({ prediction }) => prediction));
    expect([...(answers?.classes ?? [])].map(String)).toEqual(records.map(({ answer }) => answer));
  }
});

test("a trial that cannot be planned says why, with its place, and the next one runs", async () => {
  await using runner = await onOne();
  await expect(runner.plan(tiesAt({ density: 7 }))).rejects.toThrow(/sweep\.recipe\.yaml:4:.*density/);
  await expect(runner.plan(tiesAt({}, ["absent"]))).rejects.toThrow('Cannot find model "');
  expect((await tryRecipe(runner, tiesAt({}))).segments).toHaveLength(2);
});

test("a trial that is not wanted any more ends, and the others go on", async () => {
  await using runner = await onOne();
  const controller = new AbortController();
  const unwanted = tryRecipe(runner, tiesAt({ weight: 0.9 }), { signal: controller.signal });
  const wanted = tryRecipe(runner, tiesAt({ weight: 0.3 }));
  controller.abort(new Error("enough"));
  await expect(unwanted).rejects.toThrow("enough");
  expect((await wanted).segments).toHaveLength(2);
});
