import { cp, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Lock } from "../../../coordinator/assemble/lock.js";
import { type JobEvent, type JobResult, type RecipeJob, runRecipe } from "../../../coordinator/job.js";
import { readRecipe } from "../../../coordinator/recipe/read.js";
import type { Sink } from "../../../coordinator/sinks/sink.js";
import { type RunningAgent, runAgent } from "../../../node-agent/main.js";
import { AmalgamError } from "../../../shared/errors.js";
import { withTempDir } from "../../support/checkpoints.js";
import { type MergeVariation, mergeLocally, writeFamily, writeRecipe } from "../../support/merges.js";
import { hashDirectory } from "../../support/plans.js";

const family = withTempDir();
let agent: RunningAgent;
beforeAll(async () => {
  await writeFamily((await family).path);
  agent = await runAgent({ roots: [tmpdir()], slots: 1 });
});
afterAll(async () => {
  await agent.close();
  await (await family)[Symbol.asyncDispose]();
});

/** A copy of the family. */
async function withFamily(): ReturnType<typeof withTempDir> {
  const folder = await withTempDir();
  await cp((await family).path, folder.path, { recursive: true, preserveTimestamps: true });
  return folder;
}

function merge(recipe: string, output: string, variation: MergeVariation = {}): Promise<JobResult> {
  return mergeLocally(recipe, output, { addresses: [agent.address], ...variation });
}

test("documents that others cannot contain are merged first, and leave nothing behind", async () => {
  await using folder = await withFamily();
  const recipe = await writeRecipe(folder.path, "stored_documents");
  const before = await readdir(folder.path);
  const events: JobEvent[] = [];
  const { plan } = await merge(recipe, join(folder.path, "out"), { onEvent: (event) => events.push(event) });
  const stored = events.flatMap((event) => (event.type === "stage" ? [event.name] : []));
  expect(stored).toEqual(["first", "second"]);
  expect(plan.models.map(({ name }) => name)).toEqual(["second", "code"]);
  expect((await readdir(folder.path)).sort()).toEqual([...before, "out"].sort());
});

/** Merges until the first document is stored. */
async function interruptAfterFirst(recipe: string, output: string): Promise<void> {
  const controller = new AbortController();
  const interrupted = merge(recipe, output, {
    signal: controller.signal,
    onEvent: (event) => {
      if (event.type === "stage" && event.name === "second") controller.abort();
    },
  });
  await expect(interrupted).rejects.toThrow();
}

/** Merges to the end: which documents were looked for, and which were written, as far as one can see. */
async function mergeAndTell(recipe: string, output: string): Promise<readonly string[]> {
  const told: string[] = [];
  await merge(recipe, output, {
    onEvent: (event) => {
      if (event.type === "stage") told.push(event.name);
      if (event.type === "writing" && event.units > 0) told.push("written");
    },
  });
  return told;
}

test("a document that was merged before an interruption is not merged again", async () => {
  await using folder = await withFamily();
  const recipe = await writeRecipe(folder.path, "stored_documents");
  const output = join(folder.path, "out");
  await interruptAfterFirst(recipe, output);
  expect(await mergeAndTell(recipe, output)).toEqual(["first", "second", "written", "written"]);
});

test("a document whose model changed under the same header since is merged again", async () => {
  await using folder = await withFamily();
  const recipe = await writeRecipe(folder.path, "stored_documents");
  const output = join(folder.path, "out");
  await interruptAfterFirst(recipe, output);
  const now = new Date();
  await utimes(join(folder.path, "code", "model.safetensors"), now, now);
  expect(await mergeAndTell(recipe, output)).toEqual(["first", "written", "second", "written", "written"]);
});

test("another recipe for the same output leaves alone what the job that has it made first", async () => {
  await using folder = await withFamily();
  const recipe = await writeRecipe(folder.path, "stored_documents");
  const output = join(folder.path, "out");
  await interruptAfterFirst(recipe, output);
  const stages = `${output}.amalgam-stages`;
  const [first = ""] = await readdir(stages);
  const before = await hashDirectory(join(stages, first));
  const other = join(folder.path, "other.yaml");
  await writeFile(other, (await readFile(recipe, "utf8")).replace("density: 0.3", "density: 0.6"));
  {
    await using _lock = await Lock.take(`${output}.amalgam-partial`);
    await expect(merge(other, output)).rejects.toMatchObject({ code: "output_refused" });
  }
  expect(await hashDirectory(join(stages, first))).toEqual(before);
  await merge(other, output);
  expect(await readdir(stages)).toEqual([first]);
});

test("an output that is complete is found without merging its documents again", async () => {
  await using folder = await withFamily();
  const recipe = await writeRecipe(folder.path, "stored_documents");
  const output = join(folder.path, "out");
  const { plan } = await merge(recipe, output);
  const before = await readdir(folder.path);
  const again = await merge(recipe, output, {
    onEvent: (event) => {
      if (event.type !== "planned") throw new Error(`There was more to do: ${event.type}`);
    },
  });
  expect(again.committed).toBeUndefined();
  expect(again.plan.digest).toBe(plan.digest);
  expect(await readdir(folder.path)).toEqual(before);
});

test("whether an output elsewhere is complete, or must not be written, is known before documents are merged", async () => {
  await using folder = await withFamily();
  const recipe = await writeRecipe(folder.path, "stored_documents");
  const before = await readdir(folder.path);
  const told: string[] = [];
  const mergeInto = (isComplete: Sink["isComplete"]): Promise<JobResult> => {
    const open = () => Promise.reject(new Error("There is nothing to do"));
    const sink: Sink = { url: "s3://bucket/out", isComplete, open };
    return merge(recipe, join(folder.path, "out"), { sink, onEvent: ({ type }) => told.push(type) });
  };
  expect((await mergeInto(async () => true)).committed).toBeUndefined();
  const refused = new AmalgamError("output_refused", "Not there");
  await expect(mergeInto(() => Promise.reject(refused))).rejects.toBe(refused);
  expect(told).toEqual(["planned"]);
  expect(await readdir(folder.path)).toEqual(before);
});

test("what was made first for an output that was just completed is removed by the next who looks", async () => {
  await using folder = await withFamily();
  const recipe = await readRecipe(await writeRecipe(folder.path, "stored_documents"));
  const output = join(folder.path, "out");
  const job: RecipeJob = {
    recipe,
    output,
    assembly: "direct",
    shardBytes: 5e9,
    overwrite: false,
    agents: { kind: "running", addresses: [agent.address] },
  };
  const before = await readdir(folder.path);
  // Killed before it tidied up.
  await runRecipe(job, 0);
  expect(await readdir(folder.path)).toContain("out.amalgam-stages");
  const again = await runRecipe(job, 0);
  expect(again.committed).toBeUndefined();
  await again.tidyUp();
  expect((await readdir(folder.path)).sort()).toEqual([...before, "out"].sort());
});
