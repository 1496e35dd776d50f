import { appendFile, mkdir, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Board } from "../../../../../coordinator/page/board.js";
import { SweepShelf } from "../../../../../coordinator/page/sweeps/shelf.js";
import { bestSoFar, summarise } from "../../../../../coordinator/page/sweeps/summary.js";
import { noLog } from "../../../../../shared/log/log.js";
import { VirtualClock } from "../../../../simulation/virtual-clock.js";
import { withTempDir } from "../../../../support/checkpoints.js";
import { makeSweepFolder } from "../../../../support/made-report.js";

test("a sweep is summed up: its best, its course and its front", async () => {
  await using folder = await withTempDir();
  const trials = await makeSweepFolder(folder.path, { trials: 60, failed: [7] });
  const summary = await summarise(join(folder.path, "out"));
  const least = Math.min(...trials.filter(({ status }) => status === "done").map(({ loss }) => loss));
  expect(summary).toMatchObject({ state: "unfinished", trials: 60, failed: 1, maxTrials: 1_000, file: "sweep.yaml" });
  expect(summary?.bestSoFar.at(-1)).toEqual([60, least]);
  expect(summary?.front?.front.length).toBeGreaterThan(1);
  expect((summary?.front?.front.length ?? 0) + (summary?.front?.others.length ?? 0)).toBe(59);
  const losses = bestSoFar(trials).map(([, loss]) => loss);
  expect(losses).toEqual(losses.toSorted((a, b) => b - a));
});

test("sweeps come, change and go while they are looked at, whole lines only", async () => {
  await using folder = await withTempDir();
  const [board, clock] = [new Board(), new VirtualClock()];
  await makeSweepFolder(folder.path, { trials: 10 });
  await using shelf = new SweepShelf([folder.path, join(folder.path, "nowhere")], board, noLog, clock);
  const shown = (): unknown => board.get("sweeps", "out")?.trials;
  await expect.poll(shown, { timeout: 10_000 }).toBe(10);

  // A line that is being written.
  await appendFile(join(folder.path, "out", "trials.jsonl"), '{"trial": 11, "point"');
  await clock.advance(4_000);
  await expect.poll(shown, { timeout: 10_000 }).toBe(10);
  expect(board.get("sweeps", "out")?.problem).toBeUndefined();
  expect((await shelf.report("out"))?.toString()).toContain("<title>Sweep · sweep.yaml</title>");
  expect(await shelf.report("../out")).toBeUndefined();
  expect(await shelf.report("")).toBeUndefined();

  // What a link leads to is none of what was named.
  const trials = join(folder.path, "out", "trials.jsonl");
  await rename(trials, `${trials}.real`);
  await symlink(`${trials}.real`, trials);
  expect(await shelf.report("out")).toBeUndefined();
  await rm(trials);

  await writeFile(join(folder.path, "out", "sweep.json"), "{}");
  await clock.advance(4_000);
  await expect
    .poll(() => board.get("sweeps", "out")?.problem, { timeout: 10_000 })
    .toContain("another version of Amalgam");
  await truncate(join(folder.path, "out", "sweep.json"));
  await rm(join(folder.path, "out"), { recursive: true });
  await mkdir(join(folder.path, "out"));
  await clock.advance(4_000);
  await expect.poll(() => board.keys("sweeps"), { timeout: 10_000 }).toEqual([]);
});
