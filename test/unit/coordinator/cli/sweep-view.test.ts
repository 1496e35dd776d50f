import { expect, test } from "vitest";
import { createSweepView } from "../../../../coordinator/cli/sweep-view.js";
import type { TrialRecord } from "../../../../coordinator/sweep/types.js";
import { madeTrial } from "../../../support/made-trials.js";

/** What people read of these trials, each the best so far. */
function shown(best: readonly TrialRecord[]): readonly string[] {
  let written = "";
  const write = (text: string): void => {
    written += text;
  };
  const stream = { isTTY: false, write } as unknown as NodeJS.WriteStream;
  const view = createSweepView({ json: false, stdout: stream, stderr: stream });
  for (const record of best) view.observe({ type: "trial", record, isBest: true });
  view.close();
  return written.split("\n").filter((line) => line.includes("best so far"));
}

test("a best trial says on how many examples when the one before was judged by others", () => {
  const lines = shown([
    madeTrial(1, { weight: 0.4 }, 0.7, { examples: 80 }),
    madeTrial(2, { weight: 0.5 }, 0.75, { examples: 80 }),
    madeTrial(3, { weight: 0.5 }, 0.675, { rung: 1, examples: 240 }),
  ]);
  expect(lines).toEqual([
    "trial 1: acc 0.700, the best so far (weight 0.4)",
    "trial 2: acc 0.750, the best so far (weight 0.5)",
    "trial 3: acc 0.675 on 240 examples, the best so far (weight 0.5)",
  ]);
});

test("of the time left is taken off what earlier runs have used up", () => {
  let written = "";
  const stream = {
    isTTY: true,
    columns: 200,
    write: (text: string) => (written += text),
  } as unknown as NodeJS.WriteStream;
  const view = createSweepView({ json: false, stdout: stream, stderr: stream });
  const about = { folder: "", search: "tpe", dimensions: 1, recorded: 9 };
  view.observe({ type: "started", ...about, spent: { examples: 0, minutes: 59.5 }, budget: { minutes: 60 } });
  view.observe({ type: "trial", record: madeTrial(10, { weight: 0.4 }, 0.7), isBest: false });
  view.close();
  expect(written).toMatch(/ETA (29|30) ?s/);
});
