import { expect, test } from "vitest";
import { ProgressModel } from "../../../../coordinator/job/progress-model.js";

test("what is sent after a merge is a phase of its own, whose rate leaves out what was sent before", () => {
  let now = 0;
  const model = new ProgressModel(() => now);
  model.observe({ type: "writing", units: 3, work: 500 });
  model.observe({ type: "committing" });
  model.observe({ type: "sending", sent: 40, bytes: 100 });
  now = 2_000;
  model.observe({ type: "sending", sent: 60, bytes: 100 });
  expect(model.progress).toMatchObject({ phase: "sending", done: 60, work: 100, bytesPerSecond: 10, etaSeconds: 4 });
});
