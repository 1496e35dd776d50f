import { existsSync, readFileSync, renameSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { readdir, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { manifestName, readManifest } from "../../coordinator/assemble/manifest.js";
import { AmalgamError } from "../../shared/errors.js";
import { blockElements } from "../../shared/expression/statistics.js";
import { randomTensor, withTempDir, writeCheckpoint } from "../support/checkpoints.js";
import { type Outcome, withWorkplace } from "../support/command.js";
import { hostileFiles } from "../support/hostile-files.js";
import { hostileFolders, writeShardedModel } from "../support/hostile-folders.js";
import { mergeLocally } from "../support/merges.js";
import { recipeFor } from "../support/planning.js";

// Checkpoints that are broken, made to do harm, or changed under a merge's hands, as their victim meets them.

const each = "weight: 1";
const recipe = recipeFor("linear", ["sound", "model"], { each });

/** A folder with a recipe over two models, one of which is sound. */
async function startWork() {
  const work = await withWorkplace();
  await writeShardedModel(work.at("sound"));
  await work.write("recipe.yaml", recipe);
  return work;
}

/** One line that a person can act on: no stack, and nothing that a terminal would obey. */
function expectRefusal({ code, stdout, stderr }: Outcome, message: RegExp | string): void {
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toMatch(/^[^\n]+\n$/);
  expect(stderr).toMatch(message);
  expect(stderr.slice(0, -1)).not.toMatch(/\p{C}/u);
  expect(stderr.length).toBeLessThan(1_000);
}

const work = startWork();
beforeAll(() => work);
afterAll(async () => (await work)[Symbol.asyncDispose]());

test.each(hostileFiles.map(([title, bytes, message, tensor]) => ({ title, bytes, message, tensor })))(
  "plan refuses $title in one line that names the file",
  async ({ bytes, message, tensor }) => {
    const { run, at, write, path } = await work;
    await writeFile(at("model.safetensors"), bytes);
    const file = await write("one-file.yaml", recipeFor("linear", ["sound", "model.safetensors"], { each }));
    const before = await readdir(path);
    const outcome = await run("plan", file);
    expectRefusal(outcome, message);
    expect(outcome.stderr).toContain('"model.safetensors"');
    if (tensor !== undefined) expect(outcome.stderr).toContain(`"${tensor}"`);
    expect(await readdir(path)).toEqual(before);
  },
);

test.each(hostileFolders)("merge refuses $title and writes nothing", async ({ harm, message }) => {
  await using work = await startWork();
  await writeShardedModel(work.at("model"));
  await harm(work.at);
  const before = await readdir(work.path);
  const outcome = await work.run("merge", work.at("recipe.yaml"), work.at("out"));
  expectRefusal(outcome, message);
  expect(outcome.stderr).toContain("model");
  expect(await readdir(work.path)).toEqual(before);
});

test("plan refuses a folder that has only pickles, and says what to do", async () => {
  await using work = await startWork();
  await writeCheckpoint(work.at("model"), {}, { config: {} });
  renameSync(work.at("model", "model.safetensors"), work.at("model", "pytorch_model.bin"));
  const outcome = await work.run("plan", work.at("recipe.yaml"));
  expectRefusal(
    outcome,
    /^Cannot open checkpoint "model": it only has "pytorch_model\.bin", and pickle files can run code/,
  );
});

test("names from a checkpoint reach the terminal as text only", async () => {
  await using work = await startWork();
  const name = "\u001b[2J\u001b]0;owned\u0007\u202e";
  await writeCheckpoint(work.at("model"), {
    [name]: randomTensor(1, [4]),
    a: { dtype: "I64", shape: [1], bytes: new Uint8Array(8) },
  });
  await work.write("recipe.yaml", recipeFor("linear", ["model", "sound"], { each }));
  expectRefusal(await work.run("plan", work.at("recipe.yaml")), /tensor "\\u001b\[2J\\u001b\]0;owned\\u0007\\u202e"/);
  await work.write("alone.yaml", recipeFor("linear", ["model"], { each }));
  const merged = await work.run("merge", work.at("alone.yaml"), work.at("out"));
  expect(merged.code).toBe(0);
  expect((merged.stdout + merged.stderr).replaceAll("\n", "")).not.toMatch(/\p{C}/u);
});

/** Two models of sixteen blocks and the recipe that averages them; `source` is the one that the tests harm. */
async function writePair(folder: string) {
  for (const [seed, name] of ["sound", "model"].entries()) {
    await writeCheckpoint(`${folder}/${name}`, { w: randomTensor(seed, [16, blockElements], "BF16") });
  }
  await writeFile(`${folder}/recipe.yaml`, recipe);
  return { recipeFile: `${folder}/recipe.yaml`, output: `${folder}/out`, source: `${folder}/model/model.safetensors` };
}

/** How a file can change between planning and reading. */
const changes: Readonly<Record<string, (source: string) => void>> = {
  "cut short": (source) => truncateSync(source, 1_000_000),
  "made longer": (source) => truncateSync(source, 9_000_000),
  "written anew with as many bytes": (source) => {
    writeFileSync(source, new Uint8Array(readFileSync(source).length));
    utimesSync(source, 1, 1);
  },
  "put in its place by a rename": (source) => {
    writeFileSync(`${source}.new`, readFileSync(source));
    renameSync(`${source}.new`, source);
    utimesSync(source, 1, 1);
  },
};

async function failureOf(merging: Promise<unknown>): Promise<AmalgamError> {
  const reason = await merging.then(
    () => "it succeeded",
    (error: unknown) => error,
  );
  if (!(reason instanceof AmalgamError)) throw new Error("Expected an AmalgamError", { cause: reason });
  return reason;
}

test.each(Object.keys(changes))("a source that is %s after planning ends the merge and leaves nothing", async (how) => {
  await using folder = await withTempDir();
  const { recipeFile, output, source } = await writePair(folder.path);
  const before = await readdir(folder.path);
  const merging = mergeLocally(recipeFile, output, {
    onEvent: ({ type }) => {
      if (type === "planned") changes[how]?.(source);
    },
  });
  const error = await failureOf(merging);
  expect([error.code, error.exitCode]).toEqual(["checkpoint_changed", 1]);
  expect(error.message).toContain(`"${source}": it changed after planning`);
  expect(await readdir(folder.path)).toEqual(before);
});

test.each(["direct", "stream"] as const)(
  "a source cut short in the middle of a merge ends it, %s",
  async (assembly) => {
    await using folder = await withTempDir();
    const { recipeFile, output, source } = await writePair(folder.path);
    let finished = 0;
    const merging = mergeLocally(recipeFile, output, {
      assembly,
      unitBytes: 2 * blockElements,
      onEvent: (event) => {
        if (event.type !== "dispatch" || event.event.type !== "finished") return;
        finished += 1;
        if (finished === 4) truncateSync(source, 1_500_000);
      },
    });
    const error = await failureOf(merging);
    expect(error.code).toBe("checkpoint_changed");
    expect(error.message).toContain(`"${source}"`);
    expect(finished).toBeLessThan(16);
    expect(existsSync(output)).toBe(false);
    // What was done is kept, and nobody goes on from it with another source.
    expect((await failureOf(mergeLocally(recipeFile, output))).code).toBe("checkpoint_malformed");
    expect(existsSync(output)).toBe(false);
  },
);

test("a source that becomes a link out of its folder after planning is not followed", async () => {
  await using folder = await withTempDir();
  const { recipeFile, output, source } = await writePair(folder.path);
  const merging = mergeLocally(recipeFile, output, {
    onEvent: ({ type }) => {
      if (type !== "planned") return;
      renameSync(source, `${folder.path}/secret.safetensors`);
      symlinkSync(`${folder.path}/secret.safetensors`, source);
    },
  });
  const error = await failureOf(merging);
  expect(error.code).toBe("path_refused");
  expect(error.message).toContain(`Cannot read "${source}": it is outside`);
  expect(existsSync(output)).toBe(false);
});

test("NaN, infinities and overflows are counted and named, in the last words and in the manifest", async () => {
  await using work = await withWorkplace();
  const values = (...odd: number[]) =>
    ({ dtype: "F32", shape: [4], values: [...odd, ...Array(4 - odd.length).fill(1)] }) as const;
  await writeCheckpoint(work.at("clean"), { a: values(), b: values(), c: values() });
  await writeCheckpoint(work.at("odd"), { a: values(Number.NaN, Infinity), b: values(), c: values(1e30, -1e30, 1e30) });
  const file = await work.write("recipe.yaml", `${recipeFor("linear", ["clean", "odd"], { each })}dtype: float16\n`);
  const { code, stdout } = await work.run("merge", file, work.at("out"));
  expect(code).toBe(0);
  expect(stdout.split("\n").slice(1, 3)).toEqual([
    'warning: "odd" has 2 NaN or infinite elements',
    'warning: in the output 2 elements are NaN or infinite and 3 do not fit the output dtype: "a", "c"',
  ]);
  const manifest = await readManifest(work.at("out"));
  expect(manifest.models.map(({ name, nonFinite }) => [name, nonFinite])).toEqual([
    ["clean", 0],
    ["odd", 2],
  ]);
  expect(manifest.numbers).toEqual({ nonFinite: 2, overflowed: 3, tensors: ["a", "c"] });
  expect(readFileSync(work.at("out", manifestName), "utf8")).toContain('["a",2,0,');
});
