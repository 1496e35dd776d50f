import { commit } from "../../../coordinator/assemble/commit.js";
import { openStaging } from "../../../coordinator/assemble/open-staging.js";
import { inspectOutput } from "../../../coordinator/assemble/output-directory.js";
import { makePlan, missingPieces, testAttempt, testRecipe, writePieces } from "../../support/plans.js";

/** What a child is told, as JSON in its first argument. */
export interface MergeChildTask {
  readonly directory: string;
  readonly output: string;
  readonly overwrite: boolean;
  /** The step at which the process kills itself, and at which of its occurrences, counted from 1. */
  readonly crash?: { readonly step: string; readonly occurrence: number };
}

/** What a child that is not killed prints, as JSON. */
export interface MergeChildResult {
  readonly keptPieces: number;
  readonly madePieces: number;
}

/** A whole coordinator's life in miniature: look, stage, fill, commit. */
async function run({ directory, output, overwrite, crash }: MergeChildTask): Promise<MergeChildResult> {
  let seen = 0;
  const step = (name: string): void => {
    if (name !== crash?.step) return;
    seen += 1;
    if (seen === crash.occurrence) process.kill(process.pid, "SIGKILL");
  };
  const plan = await makePlan(directory);
  if ((await inspectOutput(plan, output, { overwrite })).state === "complete") return { keptPieces: 12, madePieces: 0 };
  const opened = await openStaging(plan, output, { version: "1", overwrite, step });
  if (opened === "complete") return { keptPieces: 12, madePieces: 0 };
  await using staging = opened;
  const pieces = missingPieces(staging, 100);
  for (const piece of pieces) {
    const results = await writePieces(staging, [piece]);
    step("written");
    await staging.accept(results, testAttempt);
  }
  await commit(staging, { recipeText: testRecipe });
  step("finished");
  return { keptPieces: staging.resumed.keptPieces, madePieces: pieces.length };
}

process.stdout.write(JSON.stringify(await run(JSON.parse(process.argv[2] ?? "") as MergeChildTask)));
