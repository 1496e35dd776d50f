import { existsSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { commit } from "../../../coordinator/assemble/commit.js";
import { openStaging } from "../../../coordinator/assemble/open-staging.js";
import { AmalgamError } from "../../../shared/errors.js";
import { withTempDir } from "../../support/checkpoints.js";
import { hashDirectory, makePlan, missingPieces, testAttempt, testRecipe, writePieces } from "../../support/plans.js";

/** Every step between which another process may take over, in the order they are come by. */
const steps = [
  "locked",
  "barred",
  "files-adopted",
  "journal-adopted",
  "job-recorded",
  "files-created",
  "written",
  "accepted",
  "digested",
  "weights-synced",
  "companions-written",
  "index-written",
  "manifest-written",
  "held",
  "inspected",
  "old-moved",
  "renamed",
  "rename-synced",
] as const;

/** Those between which something changes that another process can see. */
const decisive = [
  "barred",
  "files-adopted",
  "journal-adopted",
  "accepted",
  "held",
  "inspected",
  "old-moved",
  "renamed",
];

interface Life {
  readonly directory: string;
  readonly output: string;
  readonly epoch: number;
  readonly overwrite: boolean;
  readonly keepJournal?: string;
  readonly step?: (name: string) => void | Promise<void>;
}

/** A coordinator from its beginning to its end, and what it ends with. */
async function live({ directory, output, epoch, step = () => undefined, ...rest }: Life): Promise<string> {
  const plan = await makePlan(directory);
  const options = { version: "1", authority: { job: "job", epoch }, ...rest };
  try {
    const staging = await openStaging(plan, output, { ...options, step });
    if (staging === "complete") return "complete";
    await using opened = staging;
    for (const piece of missingPieces(opened, 100)) {
      const results = await writePieces(opened, [piece]);
      await step("written");
      await opened.accept(results, testAttempt);
    }
    await commit(opened, { recipeText: testRecipe });
    return "published";
  } catch (error) {
    return AmalgamError.from(error).code;
  }
}

/** Stops at the first occurrence of a step until it is let go. */
class Frozen {
  readonly reached: Promise<void>;
  readonly step: (name: string) => Promise<void>;
  #reach: () => void = () => undefined;
  #wake: () => void = () => undefined;

  constructor(at: string) {
    this.reached = new Promise((resolve) => {
      this.#reach = resolve;
    });
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    let isPast = false;
    this.step = async (name) => {
      if (name !== at || isPast) return;
      isPast = true;
      this.#reach();
      await woken;
    };
  }

  wake(): void {
    this.#wake();
  }
}

let golden: Record<string, string> = {};
const scratch = withTempDir();
beforeAll(async () => {
  const { path } = await scratch;
  const output = join(path, "golden");
  expect(await live({ directory: path, output, epoch: 1, overwrite: false })).toBe("published");
  golden = await hashDirectory(output);
});
afterAll(async () => (await scratch)[Symbol.asyncDispose]());

/** An output of another plan, which is to be replaced. */
async function publishOther(directory: string, output: string): Promise<void> {
  const staging = await openStaging(await makePlan(directory, { salt: "other" }), output, { version: "1" });
  if (staging === "complete") throw new Error("nothing is there yet");
  for (const piece of missingPieces(staging, 100)) {
    await staging.accept(await writePieces(staging, [piece]), testAttempt);
  }
  await commit(staging, { recipeText: testRecipe });
}

describeBoth((overwrite, where) => {
  for (const step of steps.filter((name) => overwrite || name !== "old-moved")) {
    test.concurrent(`A process that is frozen at "${step}"${where} while another one finishes spoils nothing when it goes on`, async () => {
      await using dir = await withTempDir();
      const job = { directory: dir.path, output: join(dir.path, "out"), overwrite };
      if (overwrite) await publishOther(dir.path, job.output);
      const frozen = new Frozen(step);
      const zombie = live({ ...job, epoch: 1, step: frozen.step });
      await frozen.reached;
      const isPublished = step === "renamed" || step === "rename-synced";
      expect(await live({ ...job, epoch: 2 })).toBe(isPublished ? "complete" : "published");
      expect(await hashDirectory(job.output)).toEqual(golden);
      frozen.wake();
      // One that had not come to its last look at the output yet is content with what it finds.
      const isLooking = steps.indexOf(step) <= steps.indexOf("files-adopted");
      expect(await zombie).toBe(isPublished ? "published" : isLooking ? "complete" : "fenced");
      expect(await hashDirectory(job.output)).toEqual(golden);
      expect(await live({ ...job, epoch: 3 })).toBe("complete");
      expect((await readdir(dir.path)).sort()).toEqual(["a", "b", "out"]);
    });
  }
});

for (const [i, first] of decisive.entries()) {
  for (const [j, second] of decisive.entries()) {
    const isEarly = (i + j) % 2 === 0;
    const when = isEarly ? "goes on" : "stays so";
    test.concurrent(`One frozen at "${first}" ${when}, its successor is frozen at "${second}": a third replaces the output`, async () => {
      await using dir = await withTempDir();
      const job = { directory: dir.path, output: join(dir.path, "out"), overwrite: true };
      await publishOther(dir.path, job.output);
      const [a, b] = [new Frozen(first), new Frozen(second)];
      const zombies = [live({ ...job, epoch: 1, step: a.step })];
      await a.reached;
      zombies.push(live({ ...job, epoch: 2, step: b.step }));
      await Promise.race([b.reached, zombies[1]]);
      if (isEarly) {
        a.wake();
        await zombies[0];
      }
      const outcomes = [await live({ ...job, epoch: 3 })];
      expect(await hashDirectory(job.output)).toEqual(golden);
      for (const [place, frozen] of [b, a].entries()) {
        frozen.wake();
        outcomes.push((await zombies[1 - place]) ?? "");
        expect(await hashDirectory(job.output)).toEqual(golden);
      }
      expect(outcomes.filter((outcome) => outcome === "published")).toHaveLength(1);
      for (const outcome of outcomes) expect(["fenced", "published", "complete"]).toContain(outcome);
      expect(await live({ ...job, epoch: 4 })).toBe("complete");
      expect((await readdir(dir.path)).sort()).toEqual(["a", "b", "out"]);
    });
  }
}

function describeBoth(body: (overwrite: boolean, where: string) => void): void {
  body(false, "");
  body(true, " of a replacement");
}

test("One that wakes up right before it moves the old output aside cannot move the new one", async () => {
  await using dir = await withTempDir();
  const job = { directory: dir.path, output: join(dir.path, "out"), overwrite: true };
  await publishOther(dir.path, job.output);
  const [before, after, published] = [new Frozen("inspected"), new Frozen("old-moved"), new Frozen("renamed")];
  const step = async (name: string): Promise<void> => {
    await before.step(name);
    await after.step(name);
  };
  const zombie = live({ ...job, epoch: 1, step });
  await before.reached;
  const successor = live({ ...job, epoch: 2, step: published.step });
  await published.reached;
  before.wake();
  await Promise.race([zombie, after.reached]);
  expect(await hashDirectory(job.output)).toEqual(golden);
  published.wake();
  expect(await successor).toBe("published");
  after.wake();
  expect(await zombie).toBe("fenced");
  expect(await hashDirectory(job.output)).toEqual(golden);
});

test("The journals of finished jobs are kept where they are wanted, under the outputs' names and apart", async () => {
  await using dir = await withTempDir();
  const keepJournal = join(dir.path, "journals");
  await mkdir(keepJournal);
  const output = join(dir.path, "out");
  const namesake = join(dir.path, "elsewhere", "out");
  for (const place of [output, namesake]) {
    expect(await live({ directory: dir.path, output: place, epoch: 1, overwrite: false, keepJournal })).toBe(
      "published",
    );
  }
  const plan = await makePlan(dir.path);
  const kept = await readdir(keepJournal);
  expect(kept).toHaveLength(2);
  for (const name of kept) expect(name).toMatch(new RegExp(`^out-${plan.digest.slice(0, 8)}-[0-9a-f]{8}\\.jsonl$`));
  expect(existsSync(`${output}.amalgam-partial`)).toBe(false);
});
