import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { AmalgamError } from "../../shared/errors.js";
import { quote } from "../../shared/quote.js";
import { packageVersion } from "../../shared/rpc/version.js";
import { writeError } from "../assemble/durable.js";
import { extended, isSameBudget, usedUp } from "./budget.js";
import type { SweepJob } from "./job.js";
import { newState, partsOf } from "./store/state.js";
import { SweepStore } from "./store/store.js";

/** Opens the record of a sweep, and settles what its budget is: the author's last word, and extensions since. */
export async function openSweep(job: SweepJob): Promise<SweepStore> {
  const { spec, folder, threads } = job;
  const { file, holdOut } = spec.tasks;
  const taskFiles = await Promise.all([file, ...(typeof holdOut === "object" ? [holdOut.file] : [])].map(read));
  const begun = { amalgam: packageVersion(), threads, parts: partsOf(spec, taskFiles) };
  const state = { ...newState(spec, begun), file: resolve(spec.file) };
  const store = await SweepStore.open(folder, state, spec.text, job.overwrite);
  try {
    await settleBudget(store, job);
    return store;
  } catch (reason) {
    await store[Symbol.asyncDispose]();
    throw reason;
  }
}

async function settleBudget(store: SweepStore, { spec, extend, retryFailed, folder }: SweepJob): Promise<void> {
  const { authorsBudget, budget: before, activeSeconds } = store.state;
  const isEdited = !isSameBudget(authorsBudget, spec.budget);
  const written = isEdited ? spec.budget : before;
  const examples = store.latest.reduce((sum, { fresh }) => sum + fresh, 0);
  const spent = { trials: store.trials, examples, minutes: activeSeconds / 60 };
  const budget = extend === undefined ? written : extended(written, spent, extend);
  const stillUsedUp = extend === undefined ? undefined : usedUp(budget, spent);
  if (stillUsedUp !== undefined) {
    throw new AmalgamError("usage", `Cannot extend the sweep in ${quote(folder)}: ${stillUsedUp}, so extend that too`);
  }
  const hasMore = retryFailed === true || !isSameBudget(before, budget);
  const state = hasMore ? "unfinished" : store.state.state;
  await store.update({ authorsBudget: { ...spec.budget }, budget: { ...budget }, state });
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw writeError(error, "read", path);
  }
}
