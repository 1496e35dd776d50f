import { fork } from "node:child_process";
import { once } from "node:events";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { EvaluationJournal } from "../../../../coordinator/evaluate/journal.js";
import { withTempDir } from "../../../support/checkpoints.js";

test("a folder that is evaluated into is refused to others, and by whom it is said", async () => {
  await using folder = await withTempDir();
  {
    await using first = await EvaluationJournal.open(folder.path);
    await expect(EvaluationJournal.open(folder.path)).rejects.toMatchObject({
      code: "output_refused",
      message: expect.stringMatching(/^Cannot evaluate into ".*": process \d+ on ".*" is at it already/),
      details: expect.objectContaining({ pid: String(process.pid) }),
    });
    first.add("key", 0, { kind: "generation", tokens: [] });
  }
  await using second = await EvaluationJournal.open(folder.path);
  expect(second.find("key", 0)).toBeDefined();
});

test("a process that was killed holds no folder, and nothing of it is left in the end", async () => {
  await using folder = await withTempDir();
  const journal = new URL("../../../../coordinator/evaluate/journal.js", import.meta.url).href;
  const program = join(folder.path, "program.mjs");
  const open = `await EvaluationJournal.open(${JSON.stringify(folder.path)})`;
  await writeFile(
    program,
    `import { EvaluationJournal } from ${JSON.stringify(journal)};\n${open};\nprocess.send("open");\nsetInterval(() => {}, 1000);\n`,
  );
  const child = fork(program, { execArgv: [] });
  await once(child, "message");
  await expect(EvaluationJournal.open(folder.path)).rejects.toMatchObject({
    details: expect.objectContaining({ pid: String(child.pid) }),
  });
  child.kill("SIGKILL");
  await once(child, "exit");
  {
    await using _ = await EvaluationJournal.open(folder.path);
  }
  expect(await readdir(folder.path)).toEqual(["program.mjs"]);
});
