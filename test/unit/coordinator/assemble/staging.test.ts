import { existsSync } from "node:fs";
import { mkdir, open, readdir, readFile, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { commit } from "../../../../coordinator/assemble/commit.js";
import { NotHere } from "../../../../coordinator/assemble/not-here.js";
import { bytesOf, tensorOf } from "../../../../coordinator/assemble/pieces.js";
import type { Staging } from "../../../../coordinator/assemble/staging.js";
import { readHeader } from "../../../../shared/checkpoint/read-header.js";
import { withTempDir } from "../../../support/checkpoints.js";
import {
  completeStaging,
  makePlan,
  missingPieces,
  outputBytes,
  resultFor,
  testAttempt,
  testRecipe,
  writePieces,
} from "../../../support/plans.js";
import { openStaging } from "../../../support/staging.js";

const options = { version: "1" };

test("openStaging() creates every output file with its header and its size, and no byte of data", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  await using staging = await openStaging(plan, join(dir.path, "out"), options);
  expect(staging.paths).toHaveLength(2);
  for (const [file, path] of staging.paths.entries()) {
    const content = await readFile(path);
    const planned = plan.files[file];
    expect(content.length).toBe(planned?.bytes);
    expect([...content.subarray(0, planned?.header.length)]).toEqual([...(planned?.header ?? [])]);
    expect(content.subarray(planned?.header.length).some((byte) => byte !== 0)).toBe(false);
  }
  expect(existsSync(join(dir.path, "out"))).toBe(false);
  expect(staging.resumed).toMatchObject({ isResumed: false, keptPieces: 0, redonePieces: 0, problem: undefined });
});

test("openStaging() makes sparse files, so that a terabyte costs nothing before it is written", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path, { files: [[["large", "BF16", [1 << 15, 1 << 10]]]] });
  await using staging = await openStaging(plan, join(dir.path, "out"), options);
  const { size, blocks } = await stat(staging.paths[0] ?? "");
  expect(size).toBeGreaterThan(1 << 26);
  expect(blocks * 512).toBeLessThan(1 << 20);
});

test("openStaging() refuses a merge that the disk has no room for, and leaves nothing behind", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path, { files: [[["huge", "BF16", [1 << 24, 1 << 24]]]] });
  await expect(openStaging(plan, join(dir.path, "out"), options)).rejects.toMatchObject({
    code: "out_of_space",
    message: expect.stringMatching(/it needs 591 TB more and .* has [\d.]+ \wB free$/),
  });
  expect((await readdir(dir.path)).sort()).toEqual(["a", "b"]);
});

test("Accepted pieces are there when staging is opened again, in any order and with another piece size", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  {
    await using staging = await openStaging(plan, output, options);
    const pieces = missingPieces(staging, 100)
      .filter((_, i) => i % 2 === 1)
      .reverse();
    await staging.accept(await writePieces(staging, pieces), testAttempt);
  }
  await using staging = await openStaging(plan, output, options);
  expect(staging.resumed).toMatchObject({ keptPieces: 6, redonePieces: 0 });
  expect(staging.done.get(0)?.map(({ begin, end }) => [begin, end])).toEqual([
    [100, 200],
    [300, 400],
    [500, 600],
  ]);
  await completeStaging(staging, 64);
  const { manifest } = await commit(staging, { recipeText: testRecipe });
  expect(manifest.weights).toHaveLength(2);
});

test("The output has every byte where the plan says", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  await using staging = await openStaging(plan, output, options);
  await completeStaging(staging);
  await commit(staging, { recipeText: testRecipe });
  for (const [tensor, planned] of plan.tensors.entries()) {
    const name = plan.files[planned.file]?.name ?? "";
    const { header } = await readHeader(join(output, name));
    expect(header.tensors.map((entry) => entry.name)).toContain(planned.name);
    const content = await readFile(join(output, name));
    const { begin, end } = bytesOf(planned, { begin: 0, end: planned.elements });
    const whole = { tensor, begin: 0, end: planned.elements };
    expect([...content.subarray(begin, end)]).toEqual([...outputBytes(plan, whole)]);
  }
});

test("Concurrent accepts of the same pieces count once", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  {
    await using staging = await openStaging(plan, output, options);
    const results = await writePieces(staging, missingPieces(staging, 100));
    await Promise.all([1, 2, 3].map((epoch) => staging.accept(results, { ...testAttempt, epoch })));
    const journal = await readFile(staging.parts.layout.journal, "utf8");
    expect(journal.match(/"type":"piece"/g)).toHaveLength(results.length);
    expect(journal.match(/"epoch":1,/g)).toHaveLength(results.length);
  }
});

test("A receipt with wrong numbers is refused, and the rest of the job goes on", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  await using staging = await openStaging(plan, join(dir.path, "out"), options);
  const sound = resultFor(plan, { tensor: 0, begin: 0, end: 100 });
  await expect(staging.accept([{ ...sound, bytes: 7 }], testAttempt)).rejects.toMatchObject({ code: "chunk_corrupt" });
  await completeStaging(staging);
  await commit(staging, { recipeText: testRecipe });
});

test("Of a batch with one wrong receipt, none is accepted", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  await using staging = await openStaging(plan, join(dir.path, "out"), options);
  const results = await writePieces(staging, missingPieces(staging, 100));
  await expect(
    staging.accept([...results, { ...resultFor(plan, { tensor: 0, begin: 0, end: 1 }), bytes: 7 }], testAttempt),
  ).rejects.toThrow("Cannot accept");
  expect(staging.done.size).toBe(0);
});

test("Statistics come back as they were recorded, the first result for a place", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  const entries = [
    { program: 0, tensor: 1, slot: 0, values: [-0, Number.POSITIVE_INFINITY] },
    { program: 0, slot: 2, values: [Number.NaN] },
  ];
  {
    await using staging = await openStaging(plan, output, options);
    await staging.recordStatistics(0, entries);
    await staging.recordStatistics(0, [{ program: 0, tensor: 1, slot: 0, values: [5] }]);
    const many = Array.from({ length: 2_500 }, (_, tensor) => ({ program: 0, tensor, slot: 0, values: [tensor] }));
    await staging.recordStatistics(1, many);
  }
  await using staging = await openStaging(plan, output, options);
  expect(staging.statistics.get(0)).toEqual(entries);
  expect(staging.statistics.get(1)).toHaveLength(2_500);
});

test("Staged bytes that are not what the journal says are computed again", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  let path = "";
  {
    await using staging = await openStaging(plan, output, options);
    await completeStaging(staging);
    path = staging.paths[0] ?? "";
  }
  const at = tensorOf(plan, 0).offset + 2 * 250;
  const file = await open(path, "r+");
  await file.write(Buffer.from([1, 2, 3]), 0, 3, at);
  await file.close();
  {
    await using staging = await openStaging(plan, output, options);
    expect(staging.resumed).toMatchObject({ keptPieces: 11, redonePieces: 1, redoneBytes: 200 });
    expect(missingPieces(staging, 1000)).toEqual([{ tensor: 0, begin: 200, end: 300 }]);
    await completeStaging(staging);
  }
  // The journal now has the old record, that it was dropped, and the new one.
  await using staging = await openStaging(plan, output, options);
  expect(staging.resumed).toMatchObject({ keptPieces: 12, redonePieces: 0 });
  await commit(staging, { recipeText: testRecipe });
});

test("Staged files that a power cut shortened, emptied or lost are mended", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  for (const bytes of [0, 8, 300, 100_000]) {
    let path = "";
    {
      await using staging = await openStaging(plan, output, options);
      await completeStaging(staging);
      path = staging.paths[0] ?? "";
    }
    await truncate(path, bytes);
    await using staging = await openStaging(plan, output, options);
    expect((await stat(staging.paths[0] ?? "")).size).toBe(plan.files[0]?.bytes);
    expect(staging.resumed.redonePieces > 0).toBe(bytes < 1000);
    await completeStaging(staging);
    await staging.finish();
  }
});

test("finish() takes back pieces whose bytes are not what their receipts say", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  await using staging = await openStaging(plan, join(dir.path, "out"), options);
  const [first, ...others] = missingPieces(staging, 100);
  for (const piece of others) await staging.accept(await writePieces(staging, [piece]), testAttempt);
  const { file, offset } = tensorOf(plan, 0);
  await staging.writeChunk(file, offset, Buffer.from("other bytes"));
  if (first !== undefined) await staging.accept([resultFor(plan, first)], testAttempt);
  await expect(commit(staging, { recipeText: testRecipe })).rejects.toThrow(
    '1 staged pieces changed after they were accepted, the first is elements [0, 100) of "embed.weight"',
  );
  expect(await completeStaging(staging)).toBe(1);
  await commit(staging, { recipeText: testRecipe });
});

test("finish() finds what a late attempt wrote over a piece that was accepted and hashed long ago", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const { file, offset } = tensorOf(plan, 2);
  const contests: readonly ((staging: Staging) => unknown)[] = [
    (staging) => staging.contest([{ tensor: 2, begin: 0, end: 384 }]),
    (staging) => staging.accept([resultFor(plan, { tensor: 2, begin: 0, end: 100 })], testAttempt),
    () => undefined,
  ];
  for (const [i, contest] of contests.entries()) {
    await using staging = await openStaging(plan, join(dir.path, `out-${i}`), options);
    await staging.accept(await writePieces(staging, missingPieces(staging, 100)), {
      ...testAttempt,
      epoch: 1 + (i >> 1),
    });
    await staging.finish();
    await contest(staging);
    await staging.writeChunk(file, offset, Buffer.from("late"));
    await expect(staging.finish()).rejects.toThrow('the first is elements [0, 100) of "head.weight"');
    expect(await completeStaging(staging)).toBe(1);
    await commit(staging, { recipeText: testRecipe });
  }
});

test("commit() names what is missing", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  await using staging = await openStaging(plan, join(dir.path, "out"), options);
  await staging.accept(await writePieces(staging, [{ tensor: 0, begin: 0, end: 100 }]), testAttempt);
  await expect(commit(staging, { recipeText: testRecipe })).rejects.toThrow(
    'elements [100, 640) of "embed.weight" are missing',
  );
});

test("writeChunk() keeps to a file's data", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  await using staging = await openStaging(plan, join(dir.path, "out"), options);
  const { header, bytes } = plan.files[0] ?? { header: new Uint8Array(), bytes: 0 };
  const data = new Uint8Array(2);
  for (const offset of [0, header.length - 1, bytes - 1, Number.NaN]) {
    await expect(staging.writeChunk(0, offset, data)).rejects.toThrow("Cannot write bytes");
  }
  await staging.writeChunk(0, header.length, data);
  await staging.writeChunk(0, bytes - 2, data);
  await expect(staging.writeChunk(9, 0, data)).rejects.toThrow("No file 9");
});

test("A second coordinator on the same output is refused", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  await using staging = await openStaging(plan, output, options);
  await expect(openStaging(plan, output, options)).rejects.toThrow("is merging into the same output");
  await expect(openStaging(plan, output, { ...options, overwrite: true })).rejects.toThrow("same output");
  await completeStaging(staging);
});

test("A coordinator whose staging was taken over ends with fenced, and neither commits nor removes anything", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  const authority = { job: "job", epoch: 1 };
  await using frozen = await openStaging(plan, output, { ...options, authority });
  await completeStaging(frozen);
  await using staging = await openStaging(plan, output, { ...options, authority: { job: "job", epoch: 2 } });
  expect(staging.generation).toBeGreaterThan(frozen.generation);
  await expect(commit(frozen, { recipeText: testRecipe })).rejects.toMatchObject({
    code: "fenced",
    message: expect.stringContaining("another process took over"),
  });
  await frozen.discard();
  expect(existsSync(output)).toBe(false);
  const { generation } = staging;
  const entries = ["journal", "lock", "output", "probe"].map((kind) => `${kind}.${generation}`);
  const names = await readdir(`${output}.amalgam-partial`);
  for (const entry of entries) expect(names.some((name) => name.startsWith(entry))).toBe(true);
  expect(staging.resumed.keptPieces).toBe(12);
  await commit(staging, { recipeText: testRecipe });
  expect((await readdir(dir.path)).sort()).toEqual(["a", "b", "out"]);
});

test("What another plan staged is refused, and discarded only with overwrite", async () => {
  await using dir = await withTempDir();
  const output = join(dir.path, "out");
  {
    await using staging = await openStaging(await makePlan(dir.path), output, options);
    await completeStaging(staging);
  }
  const other = await makePlan(dir.path, { salt: "other" });
  await expect(openStaging(other, output, options)).rejects.toMatchObject({
    code: "output_refused",
    message: expect.stringMatching(/belongs to another recipe .* discard its work with --overwrite$/),
  });
  await using staging = await openStaging(other, output, { ...options, overwrite: true });
  expect(staging.done.size).toBe(0);
  expect(staging.resumed.keptPieces).toBe(0);
});

test("What was staged from a source that was modified since, or computed in another way, is refused", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  {
    await using staging = await openStaging(plan, output, options);
    await completeStaging(staging);
  }
  const modified = {
    ...plan,
    sources: plan.sources.map((source, i) => (i === 1 ? { ...source, modifiedMs: 1 } : source)),
  };
  await expect(openStaging(modified, output, options)).rejects.toThrow(
    'source "model.safetensors" of "./b" was modified',
  );
  const other = { version: "2", kernels: "other" };
  await expect(openStaging(plan, output, other)).rejects.toThrow(
    "begun by version 1 of Amalgam, which computes in another way than 2",
  );
  // A coordinator of a cluster does not overwrite what another one began, whatever the job's user allowed.
  const led = { ...other, overwrite: true, isBegun: true };
  await expect(openStaging(plan, output, led)).rejects.toBeInstanceOf(NotHere);
  await using staging = await openStaging(plan, output, { version: "2" });
  expect(staging.resumed.keptPieces).toBe(12);
});

test("A staging directory that is something else is left alone", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  const root = `${output}.amalgam-partial`;
  await mkdir(root);
  await writeFile(join(root, "thesis.txt"), "mine");
  await expect(openStaging(plan, output, { ...options, overwrite: true })).rejects.toThrow(
    'did not write "thesis.txt"',
  );
  expect(await readdir(root)).toEqual(["thesis.txt"]);
});

test("A link planted where staging begins is not followed", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  await mkdir(join(dir.path, "elsewhere"));
  await symlink(join(dir.path, "elsewhere"), `${output}.amalgam-partial`);
  await expect(openStaging(plan, output, options)).rejects.toThrow("it is not a directory");
  expect(await readdir(join(dir.path, "elsewhere"))).toEqual([]);
});

test("A journal whose first line never reached the disk begins anew; one whose first line is damaged is refused", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  let journal = "";
  {
    await using staging = await openStaging(plan, output, options);
    journal = staging.parts.layout.journal;
    await completeStaging(staging);
  }
  const text = await readFile(journal, "utf8");
  await writeFile(journal, text.replace("job", "bob"));
  await expect(openStaging(plan, output, options)).rejects.toThrow("the first line of its journal is damaged");
  await writeFile(journal, text.slice(0, 20));
  await using staging = await openStaging(plan, output, options);
  expect(staging.resumed.keptPieces).toBe(0);
  expect(missingPieces(staging, 1000)).toHaveLength(3);
});

test("Damage in the journal's middle is told, and the work behind it is done again", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  let journal = "";
  {
    await using staging = await openStaging(plan, output, options);
    journal = staging.parts.layout.journal;
    await completeStaging(staging);
  }
  const lines = (await readFile(journal, "utf8")).split("\n");
  lines[5] = "{}";
  await writeFile(journal, lines.join("\n"));
  await using staging = await openStaging(plan, output, options);
  expect(staging.resumed).toMatchObject({ keptPieces: 4, problem: expect.stringContaining("Line 6 of journal") });
  await completeStaging(staging);
  await commit(staging, { recipeText: testRecipe });
});

test("A job that did no work leaves nothing behind; discard() removes one that did", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  {
    await using _ = await openStaging(plan, output, options);
  }
  expect((await readdir(dir.path)).sort()).toEqual(["a", "b"]);
  await using staging = await openStaging(plan, output, options);
  await completeStaging(staging);
  await staging.discard();
  expect((await readdir(dir.path)).sort()).toEqual(["a", "b"]);
});

test("An aborted signal ends the reading of staged files", async () => {
  await using dir = await withTempDir();
  const plan = await makePlan(dir.path);
  const output = join(dir.path, "out");
  {
    await using staging = await openStaging(plan, output, options);
    await completeStaging(staging);
  }
  const signal = AbortSignal.abort();
  await expect(openStaging(plan, output, { ...options, signal })).rejects.toMatchObject({ name: "AbortError" });
  await using staging = await openStaging(plan, output, options);
  expect(staging.resumed.keptPieces).toBe(12);
});
